/**
 * Operations that the rows of a key may no longer remember: the key has no row any more, or many writers. Their
 * repeats get the first result. ● All that this service has done stand here too: another service may drop a row that
 * names them, and this one is not told. The `g/` rows of what was dropped prove them to the batcher, and tell a service
 * that starts what the one before it had done: else a put whose answer was lost in a crash would undo a later delete
 * when it is repeated, and a delete a later put.
 */
import { AgingMap, mapKey, type OpId, type Random } from '@cairn/protocol'
import type { KeyValueStore, StoreKey, StoreRow } from '../../ports.js'
import { garbageRange } from '../rows/keys.js'
import { type AppliedOperation, GarbageRow } from '../rows/rows.js'
import type { PlannedCommit } from '../versions/version-write-state.js'
import { RecentOperations } from './recent-operations.js'

/** Operations that a service looks for when it starts, and rows of one read. */
const RECALLED_MAX = 65_536
const RECALLED_PER_READ = 1000

/** Operations whose outcome is not known: at some 200 bytes each 3 MB. */
const UNKNOWN_MAX = 16_384

export class AppliedOperations {
  private readonly recent: RecentOperations
  private readonly unknown = new AgingMap<string, true>()

  constructor(random: Random) {
    this.recent = new RecentOperations(random)
  }

  /** Remembers operations; the oldest go first when there are too many. */
  remember(operations: readonly AppliedOperation[]): void {
    for (const operation of operations) this.recent.add(operation)
  }

  /** What this service has just done, and what no row of the key remembers since. */
  rememberCommit({ applied, forgotten }: Pick<PlannedCommit, 'applied' | 'forgotten'>): void {
    this.recent.add(applied)
    if (forgotten.length > 0) this.remember(forgotten)
  }

  /** Remembers what the newest garbage says, two operations a row at most. To be done before the first write. */
  async recall(store: KeyValueStore): Promise<void> {
    const newestFirst: AppliedOperation[] = []
    const { from } = garbageRange()
    let to: StoreKey | undefined = garbageRange().to
    while (to !== undefined && newestFirst.length < RECALLED_MAX) {
      const range = { from, to }
      const { results } = await store.readAuthority([
        { kind: 'scan', range, limit: RECALLED_PER_READ, reverse: true },
      ])
      const rows = results[0] ?? []
      for (const row of rows) newestFirst.push(...appliedIn(row))
      to = rows.length < RECALLED_PER_READ ? undefined : rows.at(-1)?.key
    }
    this.remember(newestFirst.slice(0, RECALLED_MAX).reverse())
  }

  /** A commit of the operation has been sent, and whether it has happened, or yet will, is not known. */
  rememberUnknown(op: OpId): void {
    this.unknown.set(mapKey(op), true)
    if (this.unknown.size > UNKNOWN_MAX) this.unknown.takeOldest()
  }

  isUnknown(op: OpId): boolean {
    return this.unknown.size > 0 && this.unknown.get(mapKey(op)) === true
  }

  find(op: OpId): AppliedOperation | undefined {
    return this.recent.find(op)
  }
}

/** The operation that left the row, and the one whose version it dropped. */
function appliedIn({ value }: StoreRow): AppliedOperation[] {
  const { kind, op, droppedMicros, dropped } = GarbageRow.decode(value)
  if (kind === 'parts') return []
  if (dropped === undefined) return [{ seq: droppedMicros, op, isNull: false, deleteMarker: false }]
  return [{ ...dropped, seq: droppedMicros, op }, dropped]
}
