import { CHECKSUM_ALGORITHMS, createDigest } from '@cairn/protocol'
import { expect } from 'chai'
import { createDigestThreads } from '../../src/adapters/digest-threads.js'
import { digestBody } from '../../src/bodies/body-digests.js'
import type { DigestLanes } from '../../src/bodies/digest-lanes.js'
import { LANE_BODY_BYTES_MIN, LANE_PIECE_BYTES } from '../../src/limits.js'
import { patternBytes } from '../world/world.js'

const UNIT = 64 * 1024

async function digestThrough(lanes: DigestLanes, bytes: Uint8Array): Promise<Record<string, string>> {
  const digests = digestBody(lanes, { digests: CHECKSUM_ALGORITHMS })
  for (let at = 0; at < bytes.length; at += UNIT) {
    digests.update(bytes.subarray(at, at + UNIT))
    if (!digests.hasRoom) await digests.room()
  }
  return asHex(await digests.digests())
}

function asHex(digests: Partial<Record<string, Uint8Array>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(digests).map(([name, digest]) => [name, Buffer.from(digest ?? []).toString('hex')]),
  )
}

function digestHere(bytes: Uint8Array): Record<string, string> {
  const digests: Partial<Record<string, Uint8Array>> = {}
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const digest = createDigest(algorithm)
    digest.update(bytes)
    digests[algorithm] = digest.digest()
  }
  return asHex(digests)
}

describe('digest threads', () => {
  let lanes: DigestLanes
  beforeEach(() => {
    lanes = createDigestThreads()
  })
  afterEach(() => lanes.close())

  it('give the digests of the event loop in every algorithm, for bodies side by side', async () => {
    const bodies = [0, 1, LANE_PIECE_BYTES, LANE_BODY_BYTES_MIN + 1, 20 * LANE_PIECE_BYTES - 7].map(
      (size, index) => patternBytes(size, index + 1),
    )
    const digests = await Promise.all(bodies.map((bytes) => digestThrough(lanes, bytes)))
    expect(digests).to.deep.equal(bodies.map(digestHere))
  }).timeout(20_000)

  it('settle what is under way when a body is given up, and go on with the others', async () => {
    const lane = lanes.open(['MD5'])
    const update = lane.update(new Uint8Array(new SharedArrayBuffer(UNIT)))
    lane.leave()
    await update
    const bytes = patternBytes(LANE_BODY_BYTES_MIN)
    expect((await digestThrough(lanes, bytes)).SHA256).to.equal(digestHere(bytes).SHA256)
  }).timeout(20_000)

  it('reject with Internal when the thread has stopped', async () => {
    const lane = lanes.open(['MD5'])
    const waiting = lane.digests()
    waiting.catch(() => undefined)
    await lanes.close()
    let failure: unknown
    try {
      await waiting
    } catch (error) {
      failure = error
    }
    // Whether the answer or the stop came first is the thread's affair; a second question never hangs.
    if (failure !== undefined) expect(failure).to.have.property('code', 'Internal')
    const late = await lane.update(new Uint8Array(1)).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(late).to.have.property('code', 'Internal')
  }).timeout(20_000)

  it('leave short bodies on the event loop', async () => {
    const none: DigestLanes = {
      open: () => {
        throw new Error('a lane was opened')
      },
      close: () => Promise.resolve(),
    }
    const digests = digestBody(none, { sizeBytes: LANE_BODY_BYTES_MIN - 1 })
    expect(asHex(await digests.digests()).MD5).to.equal('d41d8cd98f00b204e9800998ecf8427e')
  })
})
