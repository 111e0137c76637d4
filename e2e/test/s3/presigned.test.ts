/** Presigned URLs: what they allow, how long, and what must not be changed about them. */
import { expect } from 'chai'
import { presignQuery } from './support/signing.js'
import { useSuite } from './support/suite.js'
import { send, sendPresigned, sendUnsigned } from './support/wire.js'
import { expectError } from './support/xml.js'

const MINUTE_MS = 60_000

describe('presigned URLs', () => {
  const suite = useSuite('presigned')
  const { bucket } = suite

  before(async () => {
    const put = await send(suite.server, { method: 'PUT', path: `/${bucket}/key`, body: 'content' })
    expect(put.status).to.equal(200)
  })

  it('serves a GET, and ranges of it by a header that was not signed', async () => {
    expect((await sendPresigned(suite.server, { path: `/${bucket}/key` })).text).to.equal('content')
    const ranged = await sendPresigned(suite.server, {
      path: `/${bucket}/key`,
      extra: { range: 'bytes=1-3' },
    })
    expect(ranged.status).to.equal(206)
    expect(ranged.text).to.equal('ont')
  })

  it('stores a PUT', async () => {
    const path = `/${bucket}/presigned`
    expect((await sendPresigned(suite.server, { method: 'PUT', path, body: 'by URL' })).status).to.equal(200)
    expect((await send(suite.server, { path })).text).to.equal('by URL')
  })

  it('stores a PUT whose metadata stands in the signed query or in signed headers', async () => {
    const path = `/${bucket}/presigned-metadata`
    const parameters = { 'x-amz-meta-color': 'red', 'x-amz-acl': 'private' }
    const byQuery = await sendPresigned(suite.server, { method: 'PUT', path, parameters, body: 'x' })
    expect(byQuery.status, byQuery.text).to.equal(200)
    expect((await send(suite.server, { path })).headers['x-amz-meta-color']).to.equal('red')
    const headers = { 'x-amz-meta-color': 'blue' }
    const byHeader = await sendPresigned(suite.server, { method: 'PUT', path, headers, body: 'x' })
    expect(byHeader.status, byHeader.text).to.equal(200)
    expect((await send(suite.server, { path })).headers['x-amz-meta-color']).to.equal('blue')
  })

  it('overrides response headers', async () => {
    const parameters = {
      'response-content-type': 'text/x-own',
      'response-cache-control': 'no-cache',
      'response-content-disposition': 'attachment; filename="a b.txt"',
      'response-content-encoding': 'identity',
      'response-content-language': 'tlh',
      'response-expires': 'Thu, 01 Jan 2099 00:00:00 GMT',
    }
    const { headers } = await sendPresigned(suite.server, { path: `/${bucket}/key`, parameters })
    for (const [name, value] of Object.entries(parameters)) {
      expect(headers[name.slice('response-'.length)]).to.equal(value)
    }
  })

  it('refuses a life of nothing, less, or more than a week', async () => {
    for (const expires of ['0', '-1', '604801']) {
      const response = await sendPresigned(suite.server, { path: `/${bucket}/key`, expires })
      expectError(response, 400, 'AuthorizationQueryParametersError')
    }
    const week = await sendPresigned(suite.server, { path: `/${bucket}/key`, expires: '604800' })
    expect(week.status).to.equal(200)
  })

  it('refuses an expired one, and one from the future', async () => {
    const path = `/${bucket}/key`
    const old = { path, expires: '60', atMs: Date.now() - 2 * MINUTE_MS }
    expectError(await sendPresigned(suite.server, old), 403, 'AccessDenied')
    const future = { path, atMs: Date.now() + 16 * MINUTE_MS }
    expectError(await sendPresigned(suite.server, future), 403, 'AccessDenied')
  })

  it('refuses a changed parameter, an added header and another method', async () => {
    const path = `/${bucket}/key`
    const query = presignQuery(suite.server, { path, parameters: { 'response-content-type': 'text/a' } })
    const changed = { path, query: query.replace('text%2Fa', 'text%2Fb') }
    expectError(await sendUnsigned(suite.server, changed), 403, 'SignatureDoesNotMatch')
    const added = { path, query, headers: { 'x-amz-meta-a': '1' } }
    expectError(await sendUnsigned(suite.server, added), 403, 'AccessDenied')
    expectError(
      await sendUnsigned(suite.server, { method: 'DELETE', path, query }),
      403,
      'SignatureDoesNotMatch',
    )
  })
})
