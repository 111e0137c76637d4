import { formatId, OP_ID_BYTES, type OpId } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { RECENT_OPERATIONS_MAX, RecentOperations } from '../../../src/core/attempts/recent-operations.js'
import { seed } from '../namespace/namespace-world.js'

function opOf(session: number, counter: number): OpId {
  const op = Buffer.alloc(OP_ID_BYTES)
  op.writeUInt32BE(session, 0)
  op.writeBigUInt64BE(BigInt(counter), 8)
  return op as Uint8Array as OpId
}

describe('RecentOperations', () => {
  const random = createSeededRandom(seed)

  it(`gives what was added last under each id, as a map does (seed ${seed})`, () => {
    const recent = new RecentOperations(random)
    const model = new Map<string, object>()
    for (let at = 0; at < 20_000; at++) {
      // Counters that differ in their upper bits alone, too.
      const counter = Math.floor(random.fraction() * 100) * 2 ** Math.floor(random.fraction() * 40)
      const op = opOf(Math.floor(random.fraction() * 4), counter)
      expect(recent.find(op)).to.deep.equal(model.get(formatId(op)))
      const added = { seq: at, op, isNull: random.fraction() < 0.5, deleteMarker: random.fraction() < 0.5 }
      recent.add(added)
      model.set(formatId(op), added)
    }
  })

  it('gives up its oldest ones, and no others', () => {
    const recent = new RecentOperations(random)
    const more = 70_000
    const total = RECENT_OPERATIONS_MAX + more
    const added = { isNull: false, deleteMarker: false }
    for (let at = 0; at < total; at++) recent.add({ ...added, seq: at, op: opOf(at & 1, at * 1000) })
    for (let at = 0; at < total; at++) {
      const found = recent.find(opOf(at & 1, at * 1000))
      if (found?.seq !== (at < more ? undefined : at)) expect.fail(`operation ${at}: ${found?.seq}`)
    }
  })

  it('keeps nothing under ids that are none', () => {
    const recent = new RecentOperations(random)
    const op = Buffer.alloc(OP_ID_BYTES + 1) as Uint8Array as OpId
    recent.add({ seq: 1, op, isNull: false, deleteMarker: false })
    expect(recent.find(op)).to.equal(undefined)
    expect(recent.find(opOf(0, 0))).to.equal(undefined)
  })
})
