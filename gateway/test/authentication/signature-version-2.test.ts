import { createHmac } from 'node:crypto'
import { expect } from 'chai'
import { authenticate } from '../../src/authentication/authenticate.js'
import { S3Error } from '../../src/errors.js'
import { EXAMPLE, rawRequest, settings } from './raw-request.js'

const DOMAIN = 's3.us-west-1.amazonaws.com'
const HOST = `awsexamplebucket1.${DOMAIN}`
const NOW_MS = Date.UTC(2007, 2, 27, 19, 40)
const DATE = 'Tue, 27 Mar 2007 19:40:00 +0000'
const KEY = '/awsexamplebucket1/photos/puppy.jpg'

interface Sent {
  readonly method?: string
  readonly host?: string
  readonly target: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly nowMs?: number
}

async function outcome({ method = 'GET', host = HOST, target, headers = [], nowMs = NOW_MS }: Sent) {
  try {
    const request = rawRequest({ method, target, headers: [['Host', host], ...headers] })
    const options = settings({ domain: DOMAIN, signatureVersion2: true })
    const { principal, payloadHash } = await authenticate(request, options, nowMs)
    return `${principal.kind} ${payloadHash}`
  } catch (error) {
    if (error instanceof S3Error) return `${error.status} ${error.code}`
    throw error
  }
}

function hmac(text: string): string {
  return createHmac('sha1', EXAMPLE.secretKey).update(text, 'latin1').digest('base64')
}

function authorization(signature: string): [string, string] {
  return ['Authorization', `AWS ${EXAMPLE.accessKey}:${signature}`]
}

function presigned(target: string, text: string, expires = NOW_MS / 1000 + 60): string {
  const signature = encodeURIComponent(hmac(text.replace('EXPIRES', String(expires))))
  const mark = target.includes('?') ? '&' : '?'
  return `${target}${mark}AWSAccessKeyId=${EXAMPLE.accessKey}&Expires=${expires}&Signature=${signature}`
}

const PROVED = 'account UNSIGNED-PAYLOAD'

/** Requests of AWS's documentation, with the signatures printed there. */
const PUBLISHED: readonly (readonly [signature: string, date: string, sent: Sent])[] = [
  ['qgk2+6Sv9/oM7G3qLEjTH1a1l1g=', 'Tue, 27 Mar 2007 19:36:42 +0000', { target: '/photos/puppy.jpg' }],
  [
    'iqRzw+ileNPu1fhspnRs8nOjjIA=',
    'Tue, 27 Mar 2007 21:15:45 +0000',
    { method: 'PUT', target: '/photos/puppy.jpg', headers: [['Content-Type', 'image/jpeg']] },
  ],
  [
    'm0WP8eCtspQl5Ahe6L1SozdX9YA=',
    'Tue, 27 Mar 2007 19:42:41 +0000',
    { target: '/?prefix=photos&max-keys=50&marker=puppy' },
  ],
  ['82ZHiFIjc+WbcwFKGUVEQspPn+0=', 'Tue, 27 Mar 2007 19:44:46 +0000', { target: '/?acl' }],
  ['qGdzdERIC03wnaRNKh6OqZehG9s=', 'Wed, 28 Mar 2007 01:29:59 +0000', { host: DOMAIN, target: '/' }],
  [
    'DNEZGsoieTZ92F3bUfSPQcbGmlM=',
    'Wed, 28 Mar 2007 01:49:49 +0000',
    { host: DOMAIN, target: '/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re' },
  ],
]

describe('signature version 2', () => {
  for (const [signature, date, sent] of PUBLISHED) {
    it(`accepts the published signature ${signature}, and none that differs`, async () => {
      const nowMs = Date.parse(date)
      const dated = (claimed: string): Sent => ({
        ...sent,
        nowMs,
        headers: [...(sent.headers ?? []), ['Date', date], authorization(claimed)],
      })
      expect(await outcome(dated(signature))).to.equal(PROVED)
      for (const other of [hmac('other'), signature.slice(1), '', `A${signature}`, '!']) {
        expect(await outcome(dated(other)), other).to.equal('403 SignatureDoesNotMatch')
      }
    })
  }

  it('takes the bucket of a path with its slash or without', async () => {
    const slashed = authorization(hmac(`GET\n\n\n${DATE}\n/bucket/?versioning`))
    const bare = authorization(hmac(`GET\n\n\n${DATE}\n/bucket?versioning`))
    for (const signed of [slashed, bare]) {
      const sent = { host: DOMAIN, target: '/bucket?versioning', headers: [['Date', DATE] as const, signed] }
      expect(await outcome(sent)).to.equal(PROVED)
    }
  })

  it('covers every x-amz header, and the parameters that choose or change an answer', async () => {
    const text = `PUT\n\n\n\nx-amz-date:${DATE}\nx-amz-meta-a:1,2\n${KEY}?partNumber=1&uploadId=x`
    const sent = {
      method: 'PUT',
      target: '/photos/puppy.jpg?uploadId=x&partNumber=1',
      headers: [
        ['x-amz-meta-a', ' 1 '],
        ['x-amz-meta-a', '2'],
        ['x-amz-date', DATE],
        authorization(hmac(text)),
      ],
    } as const
    expect(await outcome(sent)).to.equal(PROVED)
    const wrong = '403 SignatureDoesNotMatch'
    const headers = [...sent.headers, ['x-amz-copy-source', '/a/b']] as const
    expect(await outcome({ ...sent, headers })).to.equal(wrong)
    expect(await outcome({ ...sent, target: '/photos/puppy.jpg?uploadId=y&partNumber=1' })).to.equal(wrong)
    expect(await outcome({ ...sent, target: `${sent.target}&versionId=x` })).to.equal(wrong)
    // Nobody signs these: they could make another request of it.
    for (const name of ['retention', 'attributes', 'encryption', 'renameObject', 'X-Amz-Acl']) {
      expect(await outcome({ ...sent, target: `${sent.target}&${name}` }), name).to.equal(
        '400 InvalidRequest',
      )
    }
  })

  it('takes a presigned URL until it expires, with x-amz parameters as headers', async () => {
    const text = `GET\n\n\nEXPIRES\n${KEY}?response-content-type=a/b c`
    const target = presigned('/photos/puppy.jpg?response-content-type=a%2Fb%20c', text)
    expect(await outcome({ target })).to.equal(PROVED)
    expect(await outcome({ target, nowMs: NOW_MS + 61_000 })).to.equal('403 AccessDenied')
    expect(await outcome({ target: target.replace('b%20c', 'b') })).to.equal('403 SignatureDoesNotMatch')
    expect(await outcome({ target: target.replace(/Expires=\d+/, 'Expires=9999999999') })).to.equal(
      '403 SignatureDoesNotMatch',
    )
    const upload = presigned('/photos/puppy.jpg?x-amz-meta-a=1', `PUT\n\n\nEXPIRES\nx-amz-meta-a:1\n${KEY}`)
    expect(await outcome({ method: 'PUT', target: upload })).to.equal(PROVED)
    expect(await outcome({ method: 'PUT', target: upload.replace('a=1', 'a=2') })).to.equal(
      '403 SignatureDoesNotMatch',
    )
    expect(await outcome({ method: 'PUT', target: upload, headers: [['x-amz-acl', 'private']] })).to.equal(
      '403 SignatureDoesNotMatch',
    )
  })

  it('signs the bytes of a parameter, and takes no other characters for them', async () => {
    const name = Buffer.from('attachment; filename=é').toString('latin1')
    const text = `GET\n\n\nEXPIRES\n${KEY}?response-content-disposition=${name}`
    const disposition = (file: string) =>
      `/photos/puppy.jpg?response-content-disposition=${encodeURIComponent(`attachment; filename=${file}`)}`
    expect(await outcome({ target: presigned(disposition('é'), text) })).to.equal(PROVED)
    const version = presigned('/photos/puppy.jpg?versionId=A', `GET\n\n\nEXPIRES\n${KEY}?versionId=A`)
    expect(await outcome({ target: version })).to.equal(PROVED)
    // U+0141 ends in the byte of an A.
    const other = version.replace('versionId=A', `versionId=${encodeURIComponent('\u0141')}`)
    expect(await outcome({ target: other })).to.equal('403 SignatureDoesNotMatch')
  })

  it('refuses what is incomplete, mixed, of nobody or of another time', async () => {
    const dated = (value: string): Sent => ({
      target: '/photos/puppy.jpg',
      headers: [
        ['Date', DATE],
        ['Authorization', value],
      ],
    })
    expect(await outcome(dated('AWS nobody:x'))).to.equal('403 InvalidAccessKeyId')
    expect(await outcome(dated('AWS nocolon'))).to.equal('400 InvalidArgument')
    expect(await outcome({ target: '/k', headers: [authorization('x')] })).to.equal('403 AccessDenied')
    const late = { ...dated(`AWS ${EXAMPLE.accessKey}:x`), nowMs: NOW_MS + 16 * 60_000 }
    expect(await outcome(late)).to.equal('403 RequestTimeTooSkewed')
    const complete = presigned('/k', 'x')
    for (const name of ['AWSAccessKeyId', 'Signature', 'Expires']) {
      const without = complete.replace(new RegExp(`${name}=[^&]+`), 'prefix=')
      expect(await outcome({ target: without }), name).to.equal('403 AccessDenied')
      expect(await outcome({ target: `${complete}&${name}=x` }), name).to.equal('403 AccessDenied')
    }
    expect(await outcome({ target: complete.replace(/Expires=\d+/, 'Expires=soon') })).to.equal(
      '403 AccessDenied',
    )
    expect(await outcome({ target: complete, headers: [authorization('x')] })).to.equal('400 InvalidArgument')
    expect(await outcome({ target: `${complete}&X-Amz-Signature=x` })).to.equal('400 InvalidArgument')
  })
})
