/** Signature Version 2: refused, unless a switch allows it. */
import { createHmac } from 'node:crypto'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { expect } from 'chai'
import { encodeForm, postBody } from './support/form.js'
import { encode, type Identity } from './support/signing.js'
import { send, sendUnsigned, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, text } from './support/xml.js'

describe('signature version 2', () => {
  let world: World
  let allowing: World
  const Bucket = freshName()
  const path = `/${Bucket}/key`

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('version-2-aws')
    allowing = await startWorld('version-2', { CAIRN_COMPAT_SIGNATURE_VERSION2: 'on' })
    for (const { s3, server } of [world, allowing]) {
      await s3.send(new CreateBucketCommand({ Bucket }))
      expect((await send(server, { method: 'PUT', path, body: 'content' })).status).to.equal(200)
    }
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
    await allowing?.stop()
  })

  function hmac(identity: Identity, signed: string): string {
    return createHmac('sha1', identity.secretKey).update(signed).digest('base64')
  }

  function byHeader(identity: Identity, method: string, target: string): Promise<WireResponse> {
    const date = new Date().toUTCString()
    const authorization = `AWS ${identity.accessKey}:${hmac(identity, `${method}\n\n\n${date}\n${target}`)}`
    return sendUnsigned(identity, { method, path: target, headers: { date, authorization } })
  }

  function byQuery(identity: Identity, method: string, more: readonly string[] = []): Promise<WireResponse> {
    const expires = Math.floor(Date.now() / 1000) + 600
    const headers = more.map((pair) => `${pair.replace('=', ':')}\n`).join('')
    const signature = encode(hmac(identity, `${method}\n\n\n${expires}\n${headers}${path}`))
    const query = [`AWSAccessKeyId=${identity.accessKey}`, `Expires=${expires}`, `Signature=${signature}`]
    const body = method === 'PUT' ? 'by URL' : ''
    return sendUnsigned(identity, { method, path, query: [...query, ...more].join('&'), body })
  }

  function byForm(
    identity: Identity,
    change: { maxBytes?: number; signature?: string } = {},
  ): Promise<WireResponse> {
    const { maxBytes = 100, signature } = change
    const document = {
      expiration: new Date(Date.now() + 600_000).toISOString(),
      conditions: [
        { bucket: Bucket },
        ['starts-with', '$key', 'form'],
        ['content-length-range', 0, maxBytes],
      ],
    }
    const policy = Buffer.from(JSON.stringify(document)).toString('base64')
    const body = encodeForm(
      [
        ['key', 'form'],
        ['AWSAccessKeyId', identity.accessKey],
        ['policy', policy],
        ['signature', signature ?? hmac(identity, policy)],
      ],
      { content: 'by form', name: 'f' },
    )
    return postBody(identity, Bucket, body)
  }

  it('is refused by header, URL and form where nothing allows it', async () => {
    expectError(await byHeader(world.server, 'GET', path), 400, 'InvalidRequest')
    expectError(await byQuery(world.server, 'GET'), 400, 'InvalidRequest')
    expectError(await byQuery(world.server, 'PUT'), 400, 'InvalidRequest')
    expectError(await byForm(world.server), 400, 'InvalidRequest')
    expect((await send(world.server, { path })).text).to.equal('content')
  })

  it('reads, writes and lists where it is allowed', async () => {
    const { server } = allowing
    expect((await byHeader(server, 'GET', path)).text).to.equal('content')
    expect(text((await byHeader(server, 'GET', `/${Bucket}/`)).text, 'Key')).to.equal('key')
    expect((await byQuery(server, 'GET')).text).to.equal('content')
    const put = await byQuery(server, 'PUT', ['x-amz-meta-color=red'])
    expect(put.status, put.text).to.equal(200)
    const got = await send(server, { path })
    expect([got.text, got.headers['x-amz-meta-color']]).to.deep.equal(['by URL', 'red'])
  })

  it('obeys the policy of a form', async () => {
    const { server } = allowing
    expectError(await byForm(server, { signature: 'AAAA' }), 403, 'SignatureDoesNotMatch')
    expectError(await byForm(server, { maxBytes: 6 }), 400, 'EntityTooLarge')
    expectError(await send(server, { path: `/${Bucket}/form` }), 404, 'NoSuchKey')
    const stored = await byForm(server)
    expect(stored.status, stored.text).to.equal(204)
    expect((await send(server, { path: `/${Bucket}/form` })).text).to.equal('by form')
  })
})
