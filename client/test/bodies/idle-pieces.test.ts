import { expect } from 'chai'
import { digestBody } from '../../src/bodies/body-digests.js'
import type { DigestLanes } from '../../src/bodies/digest-lanes.js'
import { LANE_PIECE_BYTES, LANE_PIECES_MAX } from '../../src/limits.js'

/** A lane that is done with its pieces when it is told. */
function heldLanes(): { readonly lanes: DigestLanes; readonly memory: ArrayBufferLike[]; finish(): void } {
  const memory: ArrayBufferLike[] = []
  let done: (() => void)[] = []
  const lanes: DigestLanes = {
    open: () => ({
      update: ({ buffer }) => {
        memory.push(buffer)
        return new Promise((resolve) => done.push(resolve))
      },
      digests: async () => ({}),
      leave: () => undefined,
    }),
    close: async () => undefined,
  }
  const finish = (): void => {
    for (const tell of done) tell()
    done = []
  }
  return { lanes, memory, finish }
}

describe('the pieces of digests', () => {
  it('are used again, those of several bodies too', async () => {
    const { lanes, memory, finish } = heldLanes()
    const piece = Buffer.alloc(LANE_PIECE_BYTES)
    const fillBodies = async (): Promise<void> => {
      for (const body of [digestBody(lanes, {}), digestBody(lanes, {}), digestBody(lanes, {})]) {
        for (let count = 0; count < LANE_PIECES_MAX; count++) body.update(piece)
        await body.digests()
      }
      finish()
      await Promise.resolve()
    }
    await fillBodies()
    const first = new Set(memory.splice(0))
    await fillBodies()
    expect(first.size).to.equal(3 * LANE_PIECES_MAX)
    expect(memory.filter((buffer) => !first.has(buffer))).to.deep.equal([])
  })
})
