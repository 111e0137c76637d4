import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { parseQuery } from '../../src/http/query.js'
import { parseRequestTarget } from '../../src/http/request-target.js'

function codeOf(raw: string): string {
  try {
    parseRequestTarget(raw, 'localhost')
    return 'parsed'
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

describe('parseRequestTarget', () => {
  it('splits bucket from key at the first slash and changes neither', () => {
    for (const [raw, bucket, key] of [
      ['/', '', ''],
      ['/b', 'b', ''],
      ['/b/', 'b', ''],
      ['/b//', 'b', '/'],
      ['/b//k/', 'b', '/k/'],
      ['/b/../../c', 'b', '../../c'],
      ['/b/./k', 'b', './k'],
      ['/b/a%2Fb', 'b', 'a/b'],
      ['/b/a%252Fb', 'b', 'a%2Fb'],
      ['/b/a+b%20c', 'b', 'a+b c'],
      ['/b/a\\b', 'b', 'a\\b'],
      ['/b/%C3%A9', 'b', 'é'],
      ['/b/k#fragment', 'b', 'k#fragment'],
      ['/b%2Fk', 'b/k', ''],
      ['//k', '', 'k'],
    ] as const) {
      expect(parseRequestTarget(raw, 'localhost'), raw).to.include({ bucket, key, undecodable: false })
    }
  })

  it('reads an absolute target with its authority', () => {
    expect(parseRequestTarget('http://other:1/b/k?q', 'localhost')).to.include({
      host: 'other:1',
      bucket: 'b',
      key: 'k',
      rawQuery: 'q',
    })
    expect(parseRequestTarget('HTTPS://other?q', 'localhost')).to.include({ host: 'other', rawPath: '/' })
  })

  it('takes the bucket from the host below the domain, in any case and with a port', () => {
    const target = parseRequestTarget('/b/k', 'my.Bucket.S3.test:80', 's3.test')
    expect(target).to.include({ bucket: 'my.bucket', key: 'b/k' })
    expect(parseRequestTarget('/b/k', 's3.test', 's3.test')).to.include({ bucket: 'b', key: 'k' })
    expect(parseRequestTarget('/b/k', 'evils3.test', 's3.test')).to.include({ bucket: 'b', key: 'k' })
  })

  it('marks what is not UTF-8, overlong forms and surrogates included', () => {
    for (const key of ['%AE%8A', '%C0%AF', '%ED%A0%80', '%F5%80%80%80']) {
      expect(parseRequestTarget(`/b/${key}`, 'localhost').undecodable, key).to.equal(true)
    }
  })

  it('refuses broken escapes, NUL, long keys and other forms', () => {
    expect(codeOf('/b/%')).to.equal('InvalidURI')
    expect(codeOf('/b/%4')).to.equal('InvalidURI')
    expect(codeOf('/%zz/k')).to.equal('InvalidURI')
    expect(codeOf('*')).to.equal('InvalidURI')
    expect(codeOf('ftp://a/b')).to.equal('InvalidURI')
    expect(codeOf('/b/a%00b')).to.equal('InvalidArgument')
    expect(codeOf(`/b/${'k'.repeat(1024)}`)).to.equal('parsed')
    expect(codeOf(`/b/${'k'.repeat(1025)}`)).to.equal('KeyTooLongError')
    expect(codeOf(`/b/${'%C3%A9'.repeat(512)}`)).to.equal('parsed')
    expect(codeOf(`/b/${'%C3%A9'.repeat(513)}`)).to.equal('KeyTooLongError')
  })
})

describe('parseQuery', () => {
  it('keeps order and duplicates and decodes once', () => {
    const query = parseQuery('b=2&a=%2525&b=1&flag&&x=y=z&p=a+b%2Bc')
    expect(query.parameters.map(({ name, value }) => `${name}:${value}`)).to.deep.equal([
      'b:2',
      'a:%25',
      'b:1',
      'flag:',
      'x:y=z',
      'p:a b+c',
    ])
    expect(query.find('b')).to.equal('2')
    expect(query.has('flag')).to.equal(true)
    expect(query.find('none')).to.equal(undefined)
  })

  it('refuses broken escapes, bytes that are not UTF-8, and too many parameters', () => {
    for (const raw of ['a=%', 'a=%zz', 'a=%FF', Array(202).join('a&')]) {
      expect(() => parseQuery(raw), raw.slice(0, 9))
        .to.throw(S3Error)
        .with.property('code', 'InvalidURI')
    }
  })
})
