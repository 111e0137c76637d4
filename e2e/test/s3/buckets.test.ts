/** Buckets: names, creation, location, listing and removal. */
import { expect } from 'chai'
import { useSuite } from './support/suite.js'
import { send, sendUnsigned } from './support/wire.js'
import { freshName } from './support/world.js'
import { expectError, text } from './support/xml.js'

describe('buckets', () => {
  const suite = useSuite('buckets')
  const { bucket } = suite

  before(async () => {
    const put = await send(suite.server, { method: 'PUT', path: `/${bucket}/key`, body: 'content' })
    expect(put.status).to.equal(200)
  })

  it('refuses names that S3 does not allow', async () => {
    for (const name of [
      'ab',
      'a'.repeat(64),
      'Upper',
      'under_score',
      'two..dots',
      'dash-',
      '192.168.1.1',
      'a.-b',
    ]) {
      const response = await send(suite.server, { method: 'PUT', path: `/${name}` })
      expectError(response, 400, 'InvalidBucketName')
    }
  })

  it('makes ones own bucket again without touching it', async () => {
    const again = await send(suite.server, { method: 'PUT', path: `/${bucket}` })
    expect(again.status).to.equal(200)
    expect((await send(suite.server, { path: `/${bucket}/key` })).text).to.equal('content')
  })

  it('refuses to make ones own bucket again with tags, whichever they are', async () => {
    const path = `/${freshName()}`
    const configuration = (tags: string): string =>
      `<CreateBucketConfiguration><Tags>${tags}</Tags></CreateBucketConfiguration>`
    const tag = (value: string): string => `<Tag><Key>k</Key><Value>${value}</Value></Tag>`
    const make = (body: string) => send(suite.server, { method: 'PUT', path, body })
    expect((await make(configuration(tag('v')))).status).to.equal(200)
    for (const value of ['v', 'other']) {
      const again = await make(configuration(tag(value)))
      expectError(again, 409, 'BucketAlreadyOwnedByYou')
      expect(text(again.text, 'BucketName')).to.equal(path.slice(1))
      expect(text(again.text, 'Message')).to.equal(
        'Your previous request to create the named bucket succeeded and you already own it.',
      )
    }
    expect((await make(configuration(''))).status).to.equal(200)
    expect((await make('')).status).to.equal(200)
    const kept = await send(suite.server, { path, query: 'tagging' })
    expect(text(kept.text, 'Value')).to.equal('v')
  })

  it('refuses an unknown location and malformed XML', async () => {
    const unknown = `<CreateBucketConfiguration><LocationConstraint>mars-1</LocationConstraint></CreateBucketConfiguration>`
    const path = `/${freshName()}`
    const located = await send(suite.server, { method: 'PUT', path, body: unknown })
    expectError(located, 400, 'InvalidLocationConstraint')
    for (const body of ['<CreateBucketConfiguration>', '<Other/>', 'no xml']) {
      expectError(await send(suite.server, { method: 'PUT', path, body }), 400, 'MalformedXML')
    }
    expectError(await send(suite.server, { path }), 404, 'NoSuchBucket')
  })

  it('answers HEAD with the region, GET ?location with an empty constraint', async () => {
    const head = await send(suite.server, { method: 'HEAD', path: `/${bucket}` })
    expect(head.status).to.equal(200)
    expect(head.headers['x-amz-bucket-region']).to.equal('us-east-1')
    const location = await send(suite.server, { path: `/${bucket}`, query: 'location' })
    expect(location.status).to.equal(200)
    expect(text(location.text, 'LocationConstraint')).to.equal('')
    expect(location.text).to.contain('http://s3.amazonaws.com/doc/2006-03-01/')
  })

  it('tells the ARN of a bucket when it is made, by HEAD and in ListBuckets', async () => {
    const name = freshName()
    const arn = `arn:aws:s3:::${name}`
    const made = await send(suite.server, { method: 'PUT', path: `/${name}` })
    expect(made.headers['x-amz-bucket-arn']).to.equal(arn)
    const head = await send(suite.server, { method: 'HEAD', path: `/${name}` })
    expect(head.headers['x-amz-bucket-arn']).to.equal(arn)
    const listed = await send(suite.server, { path: '/', query: `max-buckets=1&prefix=${name}` })
    expect(text(listed.text, 'BucketArn')).to.equal(arn)
  })

  it('tells the region with listings, with refused HEADs and to those who have signed for another', async () => {
    const path = `/${bucket}`
    const header = 'x-amz-bucket-region'
    for (const query of ['', 'list-type=2', 'versions']) {
      const listed = await send(suite.server, { path, query })
      expect([listed.status, listed.headers[header]], query).to.deep.equal([200, 'us-east-1'])
    }
    const refused = await sendUnsigned(suite.server, { method: 'HEAD', path })
    expect([refused.status, refused.headers[header]]).to.deep.equal([403, 'us-east-1'])
    for (const method of ['HEAD', 'GET']) {
      const elsewhere = await send(suite.server, { method, path, region: 'eu-west-1' })
      expect([elsewhere.status, elsewhere.headers[header]]).to.deep.equal([400, 'us-east-1'])
      if (method === 'HEAD') continue
      expectError(elsewhere, 400, 'AuthorizationHeaderMalformed')
      expect(text(elsewhere.text, 'Region')).to.equal('us-east-1')
      expect(text(elsewhere.text, 'Message')).to.equal(
        "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'",
      )
    }
    const missing = await send(suite.server, { method: 'HEAD', path: '/absent-bucket' })
    expect([missing.status, missing.headers[header]]).to.deep.equal([404, undefined])
    const root = await send(suite.server, { path: '/', region: 'eu-west-1' })
    expect([root.status, root.headers[header]]).to.deep.equal([400, undefined])
  })

  it('refuses to delete a bucket that is missing or not empty', async () => {
    expectError(await send(suite.server, { method: 'DELETE', path: '/absent-bucket' }), 404, 'NoSuchBucket')
    expectError(await send(suite.server, { method: 'DELETE', path: `/${bucket}` }), 409, 'BucketNotEmpty')
  })

  it('deletes an empty bucket with pending uploads', async () => {
    const path = `/${freshName()}`
    await send(suite.server, { method: 'PUT', path })
    const upload = await send(suite.server, { method: 'POST', path: `${path}/k`, query: 'uploads' })
    expect(upload.status).to.equal(200)
    expect((await send(suite.server, { method: 'DELETE', path })).status).to.equal(204)
    expectError(await send(suite.server, { path }), 404, 'NoSuchBucket')
  })

  it('lists buckets by name, in pages, by prefix and by region', async () => {
    const names = ['list-a', 'list-b', 'list-c']
    for (const name of names) await send(suite.server, { method: 'PUT', path: `/${name}` })
    const all = await send(suite.server, { path: '/', query: 'prefix=list-' })
    expect(all.text.match(/<Name>[^<]*/g)).to.deep.equal(names.map((name) => `<Name>${name}`))
    expect(text(all.text, 'ContinuationToken')).to.equal(undefined)
    const first = await send(suite.server, { path: '/', query: 'max-buckets=2&prefix=list-' })
    expect(first.text.match(/<Name>/g)).to.have.length(2)
    const token = text(first.text, 'ContinuationToken') ?? ''
    const query = `continuation-token=${encodeURIComponent(token)}&max-buckets=2&prefix=list-`
    const second = await send(suite.server, { path: '/', query })
    expect(text(second.text, 'Name')).to.equal('list-c')
    expect(text(second.text, 'ContinuationToken')).to.equal(undefined)
    const created = (page: string): string[] => page.match(/<CreationDate>[^<]*/g) ?? []
    expect(created(second.text)[0]).to.equal(created(all.text)[2])
    const elsewhere = await send(suite.server, { path: '/', query: 'bucket-region=eu-west-1&prefix=list-' })
    expect(elsewhere.text.match(/<Name>/g)).to.equal(null)
    const here = await send(suite.server, { path: '/', query: 'bucket-region=us-east-1&prefix=list-' })
    expect(here.text.match(/<Name>/g)).to.have.length(3)
    expect((await send(suite.server, { path: '/' })).text.match(/<Name>list-/g)).to.have.length(3)
  })
})
