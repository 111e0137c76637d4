/** Ranges and part numbers of GET and HEAD. */
import { randomBytes } from 'node:crypto'
import { expect } from 'chai'
import type { Identity } from './support/signing.js'
import { send, type WireResponse } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError } from './support/xml.js'

/** Two blocks, so that ranges cross their border. */
const SIZE_BYTES = 9 * 1024 * 1024 + 3
const BORDER = 8 * 1024 * 1024

describe('ranges', () => {
  let world: World
  let server: Identity
  const bucket = freshName()
  const content = randomBytes(SIZE_BYTES)

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('ranges')
    server = world.server
    await send(server, { method: 'PUT', path: `/${bucket}` })
    await send(server, { method: 'PUT', path: `/${bucket}/ten`, body: '0123456789' })
    await send(server, { method: 'PUT', path: `/${bucket}/empty`, body: '' })
    const large = { method: 'PUT', path: `/${bucket}/large`, body: content, payload: 'UNSIGNED-PAYLOAD' }
    expect((await send(server, large)).status).to.equal(200)
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  function get(key: string, range: string, method = 'GET'): Promise<WireResponse> {
    return send(server, { method, path: `/${bucket}/${key}`, headers: { range } })
  }

  for (const [range, expected, first, last] of [
    ['bytes=0-0', '0', 0, 0],
    ['bytes=2-5', '2345', 2, 5],
    ['bytes=9-9', '9', 9, 9],
    ['bytes=4-', '456789', 4, 9],
    ['bytes=4-100', '456789', 4, 9],
    ['bytes=-3', '789', 7, 9],
    ['bytes=-100', '0123456789', 0, 9],
    ['bytes=0-', '0123456789', 0, 9],
  ] as const) {
    it(`answers ${range} with 206 and exactly these bytes`, async () => {
      const response = await get('ten', range)
      expect(response.status).to.equal(206)
      expect(response.text).to.equal(expected)
      expect(response.headers['content-range']).to.equal(`bytes ${first}-${last}/10`)
      expect(response.headers['content-length']).to.equal(String(expected.length))
      expect(response.headers['accept-ranges']).to.equal('bytes')
      const head = await get('ten', range, 'HEAD')
      expect(head.status).to.equal(206)
      expect(head.headers['content-range']).to.equal(`bytes ${first}-${last}/10`)
    })
  }

  for (const range of ['bytes=10-', 'bytes=10-20', 'bytes=1000-1001', 'bytes=-0']) {
    it(`answers ${range} with 416 and the size`, async () => {
      const response = await get('ten', range)
      expectError(response, 416, 'InvalidRange')
      expect(response.headers['content-range']).to.equal('bytes */10')
    })
  }

  for (const range of ['bytes=0-0', 'bytes=0-', 'bytes=-1', 'bytes=-0']) {
    it(`answers ${range} of an empty object with 416`, async () => {
      const response = await get('empty', range)
      expectError(response, 416, 'InvalidRange')
      expect(response.headers['content-range']).to.equal('bytes */0')
    })
  }

  for (const range of [
    'bytes=5-2',
    'bytes=a-b',
    'bytes=-',
    'bytes',
    'bytes=',
    'items=0-1',
    '0-1',
    'bytes=0-1,4-5',
  ]) {
    it(`ignores ${range}`, async () => {
      const response = await get('ten', range)
      expect(response.status).to.equal(200)
      expect(response.text).to.equal('0123456789')
      expect(response.headers['content-range']).to.equal(undefined)
    })
  }

  it('tells the checksum with a range of all bytes, and with no other', async () => {
    const asked = { 'x-amz-checksum-mode': 'ENABLED' }
    const path = `/${bucket}/ten`
    const whole = await send(server, { path, headers: asked })
    const value = whole.headers['x-amz-checksum-crc64nvme']
    expect(value).to.match(/=$/)
    for (const range of ['bytes=0-100', 'bytes=0-9', 'bytes=0-', 'bytes=-15']) {
      for (const method of ['GET', 'HEAD']) {
        const { status, headers } = await send(server, { method, path, headers: { ...asked, range } })
        expect([status, headers['content-range']], range).to.deep.equal([206, 'bytes 0-9/10'])
        expect(headers['x-amz-checksum-crc64nvme'], range).to.equal(value)
        expect(headers['x-amz-checksum-type'], range).to.equal('FULL_OBJECT')
      }
      const unasked = await get('ten', range)
      expect(unasked.headers['x-amz-checksum-crc64nvme']).to.equal(undefined)
    }
    for (const range of ['bytes=0-8', 'bytes=1-', 'bytes=-9']) {
      const { status, headers } = await send(server, { path, headers: { ...asked, range } })
      expect([status, headers['x-amz-checksum-crc64nvme']], range).to.deep.equal([206, undefined])
    }
  })

  it('serves ranges across the border of blocks', async () => {
    for (const [from, to] of [
      [BORDER - 1, BORDER],
      [BORDER, BORDER],
      [65_535, 65_536],
      [BORDER - 70_000, BORDER + 70_000],
      [SIZE_BYTES - 1, SIZE_BYTES - 1],
      [0, SIZE_BYTES - 1],
    ] as const) {
      const response = await get('large', `bytes=${from}-${to}`)
      expect(response.status).to.equal(206)
      expect(response.body.equals(content.subarray(from, to + 1)), `${from}-${to}`).to.equal(true)
    }
  })

  it('serves the whole object if it is not the one that If-Range names', async () => {
    const head = await send(server, { method: 'HEAD', path: `/${bucket}/ten` })
    const { etag = '', 'last-modified': modified = '' } = head.headers
    for (const [ifRange, status] of [
      [etag, 206],
      [modified, 206],
      ['"other"', 200],
      [`W/${etag}`, 200],
      ['Mon, 01 Jan 2024 00:00:00 GMT', 200],
    ] as const) {
      const headers = { range: 'bytes=2-5', 'if-range': ifRange }
      const response = await send(server, { path: `/${bucket}/ten`, headers })
      expect([response.status, response.text]).to.deep.equal([status, status === 206 ? '2345' : '0123456789'])
    }
  })

  it('takes part 1 of an object that has no parts for the object, and knows no part 2', async () => {
    const one = await send(server, { path: `/${bucket}/ten`, query: 'partNumber=1' })
    expect(one.status).to.equal(206)
    expect(one.text).to.equal('0123456789')
    expectError(
      await send(server, { path: `/${bucket}/ten`, query: 'partNumber=2' }),
      416,
      'InvalidPartNumber',
    )
    for (const number of ['0', '-1', '10001', 'x']) {
      const response = await send(server, { path: `/${bucket}/ten`, query: `partNumber=${number}` })
      expectError(response, 400, 'InvalidArgument')
    }
  })

  it('refuses a part number with a range', async () => {
    const headers = { range: 'bytes=0-1' }
    const response = await send(server, { path: `/${bucket}/ten`, query: 'partNumber=1', headers })
    expectError(response, 400, 'InvalidRequest')
  })
})
