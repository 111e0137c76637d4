import type { BlockId } from '@cairn/protocol'
import { expect } from 'chai'
import { RepairQueue, type SuspectBlock } from '../../../src/core/upkeep/repair-queue.js'

function suspect(at: number, copies: number): SuspectBlock {
  const block = Buffer.alloc(16, at) as Uint8Array as BlockId
  return { block, pool: 1, copies, watchers: [], attempts: 0 }
}

const taken = (queue: RepairQueue, limit: number): number[] =>
  queue.take(limit).map(({ block }) => block[0] ?? 0)

describe('RepairQueue', () => {
  it('gives the most endangered first, then the oldest', () => {
    const queue = new RepairQueue()
    for (const [at, copies] of [
      [1, 2],
      [2, 1],
      [3, 2],
      [4, 0],
    ] as const) {
      queue.add(suspect(at, copies))
    }
    expect(taken(queue, 3)).to.deep.equal([4, 2, 1])
    expect(taken(queue, 3)).to.deep.equal([3])
  })

  it('holds a block once, at the level of the worst that was said of it', () => {
    const queue = new RepairQueue()
    queue.add(suspect(1, 2))
    queue.add(suspect(2, 1))
    queue.add(suspect(1, 0))
    expect(queue.size).to.equal(2)
    expect(taken(queue, 5)).to.deep.equal([1, 2])
  })

  it('refuses what is beyond its limit, and lets who waits go on once there is room', async () => {
    const queue = new RepairQueue(2)
    expect([1, 2, 3].map((at) => queue.add(suspect(at, 1)))).to.deep.equal([true, true, false])
    let hasRoom = false
    const waiting = queue.room().then(() => {
      hasRoom = true
    })
    await Promise.resolve()
    expect(hasRoom).to.equal(false)
    queue.take(1)
    await waiting
    expect(queue.add(suspect(3, 1))).to.equal(true)
  })
})
