import { type BlockId, formatId } from '@cairn/protocol'
import { expect } from 'chai'
import fc from 'fast-check'
import { RecentIds } from '../../../src/core/blocks/recent-ids.js'
import { blockId } from '../../conformance/blocks.js'

/** Near each other, near the edges of the window, and far away. */
const counter = fc.oneof(
  fc.nat(40),
  fc.integer({ min: 65_500, max: 65_580 }),
  fc.integer({ min: 131_000, max: 131_100 }),
  fc.nat(10_000_000),
)

describe('RecentIds', () => {
  function denied(recent: RecentIds, counters: Iterable<number>): number[] {
    return [...counters].filter((one) => !recent.mayHold(blockId(1, one)))
  }

  it('never denies a block that is stored', () => {
    fc.assert(
      fc.property(fc.array(counter), fc.array(counter), (earlier, later) => {
        const stored = new Set(earlier)
        const last = earlier.length === 0 ? undefined : blockId(1, Math.max(...earlier))
        const recent = new RecentIds(() => last)
        for (const one of later) {
          recent.note(blockId(1, one))
          stored.add(one)
          expect(denied(recent, stored)).to.deep.equal([])
        }
      }),
      { numRuns: 300 },
    )
  })

  it('denies new blocks of a known session, in order or not', () => {
    const recent = new RecentIds(() => blockId(1, 100))
    for (const one of [101, 105, 103]) {
      expect(recent.mayHold(blockId(1, one))).to.equal(false)
      recent.note(blockId(1, one))
      expect(recent.mayHold(blockId(1, one))).to.equal(true)
    }
    expect(recent.mayHold(blockId(1, 104))).to.equal(false)
    expect(recent.mayHold(blockId(1, 99))).to.equal(true)
  })

  it('asks once for each session it meets', () => {
    const asked: string[] = []
    const recent = new RecentIds((session) => {
      asked.push(formatId(session))
      return undefined
    })
    const blocks: BlockId[] = [blockId(1, 1), blockId(2, 1), blockId(1, 2), blockId(2, 9)]
    for (const block of blocks) if (!recent.mayHold(block)) recent.note(block)
    expect(asked).to.have.lengthOf(2)
  })
})
