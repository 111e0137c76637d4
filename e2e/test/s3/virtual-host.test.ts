/** Virtual-host style beside path style, on one server with a base domain. */
import { expect } from 'chai'
import type { Identity, RequestOptions } from './support/signing.js'
import { completeBody, createUpload } from './support/uploads.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text, texts } from './support/xml.js'

const DOMAIN = 's3.cairn.test'

describe('virtual-host style', () => {
  let world: World
  let server: Identity
  let port: string
  const bucket = `${freshName()}.dotted`

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('virtual-host', { CAIRN_DOMAIN: DOMAIN })
    server = world.server
    port = new URL(server.endpoint).port
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  function inHost(options: RequestOptions, name = bucket): Promise<WireResponse> {
    return send(server, { ...options, host: `${name}.${DOMAIN}:${port}` })
  }

  it('makes, describes and lists a bucket whose name stands in the host', async () => {
    expect((await inHost({ method: 'PUT', path: '/' })).status).to.equal(200)
    expect((await inHost({ method: 'HEAD', path: '/' })).status).to.equal(200)
    expect((await send(server, { method: 'HEAD', path: `/${bucket}` })).status).to.equal(200)
    expect(texts((await send(server, { path: '/' })).text, 'Name')).to.deep.equal([bucket])
    expect(text((await inHost({ path: '/' })).text, 'Name')).to.equal(bucket)
  })

  it('means the same objects in both styles, whatever their keys', async () => {
    for (const key of ['plain', 'a/b', '/lead', '-/health/live', `${bucket}/x`, 'a%20b', '..', '%C3%A4']) {
      const put = await inHost({ method: 'PUT', path: `/${key}`, body: `content of ${key}` })
      expect(put.status, put.text).to.equal(200)
      const got = await send(server, { path: `/${bucket}/${key}` })
      expect(got.text).to.equal(`content of ${key}`)
      expect((await inHost({ path: `/${key}` })).text).to.equal(got.text)
    }
    const inPath = await send(server, { path: `/${bucket}` })
    expect(texts((await inHost({ path: '/' })).text, 'Key')).to.deep.equal(texts(inPath.text, 'Key'))
  })

  it('takes the base domain itself, other names and addresses for path style', async () => {
    for (const host of [
      `${DOMAIN}:${port}`,
      `localhost:${port}`,
      `127.0.0.1:${port}`,
      `other.example:${port}`,
    ]) {
      const got = await send(server, { path: `/${bucket}/plain`, host })
      expect(got.text, host).to.equal('content of plain')
    }
  })

  it('does not mind the case of the host or a missing port', async () => {
    for (const host of [`${bucket}.${DOMAIN.toUpperCase()}:${port}`, `${bucket}.${DOMAIN}`]) {
      expect((await send(server, { path: '/plain', host })).text).to.equal('content of plain')
    }
  })

  it('covers the host by the signature', async () => {
    const wrong = { ...server, secretKey: 'wrong' }
    const host = `${bucket}.${DOMAIN}:${port}`
    expectError(await send(wrong, { path: '/plain', host }), 403, 'SignatureDoesNotMatch')
  })

  it('names the missing bucket of the host', async () => {
    expectError(await inHost({ path: '/key' }, 'absent-bucket'), 404, 'NoSuchBucket')
  })

  it('gives a location without the bucket in its path', async () => {
    const id = await createUpload(server, `/${bucket}/parts`)
    const query = `partNumber=1&uploadId=${id}`
    const part = await inHost({ method: 'PUT', path: '/parts', query, body: 'x' })
    const body = completeBody([{ number: 1, etag: part.headers.etag ?? '' }])
    const done = await inHost({ method: 'POST', path: '/parts', query: `uploadId=${id}`, body })
    expect(text(done.text, 'Location')).to.equal(`http://${bucket}.${DOMAIN}:${port}/parts`)
  })

  it('copies between both styles', async () => {
    const headers = { 'x-amz-copy-source': `/${bucket}/plain` }
    const copy = await inHost({ method: 'PUT', path: '/copied', headers })
    expect(copy.status, copy.text).to.equal(200)
    expect((await send(server, { path: `/${bucket}/copied` })).text).to.equal('content of plain')
  })
})
