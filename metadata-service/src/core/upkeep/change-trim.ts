/** Trims change records: followers have 24 hours to read them. */
import type { Clock } from '@cairn/protocol'
import type { KeyValueStore, StoreRange } from '../../ports.js'

/** Change records are kept this long. */
export const CHANGES_KEPT_SECONDS = 86_400

/** The change records older than that. */
function oldChanges(nowMicros: number): StoreRange {
  const to = Buffer.alloc(2 + 8)
  to.write('c/', 'latin1')
  to.writeBigUInt64BE(BigInt(Math.max(0, nowMicros - CHANGES_KEPT_SECONDS * 1e6)), 2)
  return { from: Buffer.from('c/'), to }
}

/** Deletes old change records; whether there were any. */
export async function trimChanges(store: KeyValueStore, clock: Clock): Promise<boolean> {
  const range = oldChanges(clock.wallMicros())
  const { results } = await store.read([{ kind: 'scan', range, limit: 1 }])
  const first = results[0]?.[0]
  if (first === undefined) return false
  await store.commit({
    compares: [],
    deleteRanges: [range],
    proof: { keys: [first.key], carries: (rows) => rows[0] === undefined },
  })
  return true
}
