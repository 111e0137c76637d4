/** Who may come in: signatures by header, clocks, scopes, and guards on the bucket's owner. */
import { expect } from 'chai'
import { signRequest } from './support/signing.js'
import { useSuite } from './support/suite.js'
import { send, sendUnsigned, WireConnection } from './support/wire.js'
import { expectError, text } from './support/xml.js'

const MINUTE_MS = 60_000

describe('signatures', () => {
  const suite = useSuite('signatures')
  const { bucket } = suite

  before(async () => {
    const put = await send(suite.server, { method: 'PUT', path: `/${bucket}/key`, body: 'content' })
    expect(put.status).to.equal(200)
  })

  it('refuses an anonymous request', async () => {
    expectError(await sendUnsigned(suite.server, { path: `/${bucket}/key` }), 403, 'AccessDenied')
    expectError(await sendUnsigned(suite.server, { path: '/' }), 403, 'AccessDenied')
  })

  it('refuses an empty Authorization header', async () => {
    const response = await sendUnsigned(suite.server, {
      path: `/${bucket}/key`,
      headers: { authorization: '' },
    })
    expectError(response, 403, 'AccessDenied')
  })

  it('refuses a wrong secret', async () => {
    const identity = { ...suite.server, secretKey: 'wrong' }
    expectError(await send(identity, { path: `/${bucket}/key` }), 403, 'SignatureDoesNotMatch')
  })

  it('refuses an unknown access key', async () => {
    const identity = { ...suite.server, accessKey: 'AKIAUNKNOWN' }
    expectError(await send(identity, { path: `/${bucket}/key` }), 403, 'InvalidAccessKeyId')
  })

  it('refuses a clock 16 minutes off and takes one 14 minutes off', async () => {
    for (const minutes of [16, -16]) {
      const options = { path: `/${bucket}/key`, atMs: Date.now() + minutes * MINUTE_MS }
      expectError(await send(suite.server, options), 403, 'RequestTimeTooSkewed')
    }
    for (const minutes of [14, -14]) {
      const options = { path: `/${bucket}/key`, atMs: Date.now() + minutes * MINUTE_MS }
      expect((await send(suite.server, options)).status).to.equal(200)
    }
  })

  it('refuses the scope of another region and names ours', async () => {
    const response = await send(suite.server, { path: `/${bucket}/key`, region: 'eu-west-1' })
    expectError(response, 400, 'AuthorizationHeaderMalformed')
    expect(text(response.text, 'Region')).to.equal('us-east-1')
  })

  it('refuses x-amz-* headers that were not signed', async () => {
    for (const name of ['x-amz-meta-a', 'x-amz-copy-source', 'x-amz-acl']) {
      const unsigned = { [name]: `${bucket}/key` }
      const response = await send(suite.server, { method: 'PUT', path: `/${bucket}/k`, unsigned, body: 'x' })
      expectError(response, 403, 'AccessDenied')
      expect(response.text).to.contain('not signed')
    }
  })

  it('refuses a body that is not the one that was signed, and stores nothing', async () => {
    const request = signRequest(suite.server, { method: 'PUT', path: `/${bucket}/tampered`, body: 'abcd' })
    const connection = await WireConnection.open(suite.server)
    const response = await connection.send({ ...request, body: Buffer.from('abcX') })
    expectError(response, 400, 'XAmzContentSHA256Mismatch')
    connection.destroy()
    expectError(await send(suite.server, { path: `/${bucket}/tampered` }), 404, 'NoSuchKey')
  })

  it('refuses a request whose path, method or query was changed', async () => {
    const request = signRequest(suite.server, { path: `/${bucket}/key`, query: 'prefix=a' })
    const head = request.head.toString('latin1')
    for (const [from, to] of [
      ['/key?', '/kez?'],
      ['GET ', 'HEAD '],
      ['prefix=a', 'prefix=b'],
    ] as const) {
      const connection = await WireConnection.open(suite.server)
      const method = from === 'GET ' ? 'HEAD' : 'GET'
      const changed = { ...request, method, head: Buffer.from(head.replace(from, to), 'latin1') }
      const response = await connection.send(changed)
      expect(response.status).to.equal(403)
      connection.destroy()
    }
  })

  it('refuses the bucket of another owner where one is expected', async () => {
    const headers = { 'x-amz-expected-bucket-owner': '0'.repeat(12) }
    for (const [method, path] of [
      ['GET', `/${bucket}`],
      ['GET', `/${bucket}/key`],
      ['PUT', `/${bucket}/k`],
      ['DELETE', `/${bucket}/key`],
    ] as const) {
      expectError(await send(suite.server, { method, path, headers }), 403, 'AccessDenied')
    }
    expect((await send(suite.server, { path: `/${bucket}/key` })).text).to.equal('content')
  })
})
