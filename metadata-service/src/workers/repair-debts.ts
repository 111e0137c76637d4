/**
 * The `dirty/` rows: groups that owe a copy of something that was committed.
 *
 * ● A row is removed only while it is the very one that was read before the comparison that found its group whole: a
 * commit that has owed a copy since has rewritten it.
 */
import { formatId, GROUPS_PER_POOL } from '@cairn/protocol'
import { bitsOf } from '../core/cluster/group-bits.js'
import { dirtyRange, EVERY_GROUP, parseDirtyKey, successorOfKey } from '../core/rows/keys.js'
import type { KeyValueStore, StoreRow } from '../ports.js'
import type { ComparisonResult } from './repair-comparison.js'

/** Rows of one read. */
const ROWS_PER_READ = 1000

/** The debts as of one reading. */
export interface Debts {
  /** Rows by pool. */
  readonly byPool: ReadonlyMap<number, readonly StoreRow[]>
  /** Groups that owe something. */
  readonly groups: number
}

/** All rows; at most one for each group of each pool. */
export async function readDebts(store: KeyValueStore): Promise<Debts> {
  const byPool = new Map<number, StoreRow[]>()
  let range = dirtyRange()
  for (;;) {
    const { results } = await store.readAuthority([{ kind: 'scan', range, limit: ROWS_PER_READ }])
    const rows = results[0] ?? []
    for (const row of rows) {
      const { pool } = parseDirtyKey(row.key)
      byPool.set(pool, [...(byPool.get(pool) ?? []), row])
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_PER_READ) break
    range = { from: successorOfKey(last.key), to: range.to }
  }
  let groups = 0
  for (const rows of byPool.values()) groups += owesEverything(rows) ? GROUPS_PER_POOL : rows.length
  return { byPool, groups }
}

/** Any group of the pool may owe something. */
export function owesEverything(rows: readonly StoreRow[]): boolean {
  return rows.some(({ key }) => parseDirtyKey(key).group === EVERY_GROUP)
}

/** The groups of these rows, and others, as a bitmap. */
export function groupsOf(rows: readonly StoreRow[], others: Iterable<number> = []): Uint8Array {
  return bitsOf([...rows.map(({ key }) => parseDirtyKey(key).group), ...others])
}

/** Removes the rows, read before the comparison began, whose groups it found whole; how many stay. */
export async function clearDebts(
  store: KeyValueStore,
  rows: readonly StoreRow[],
  result: ComparisonResult,
): Promise<number> {
  const isPaid = ({ key }: StoreRow): boolean => {
    const { group } = parseDirtyKey(key)
    return group === EVERY_GROUP ? result.allWhole : result.isWhole(group)
  }
  const paid = rows.filter(isPaid)
  const cleared = await Promise.all(paid.map((row) => clear(store, row)))
  return rows.length - cleared.filter(Boolean).length
}

async function clear(store: KeyValueStore, { key, revision, value }: StoreRow): Promise<boolean> {
  const before = formatId(value)
  const result = await store.commit({
    compares: [{ kind: 'revision', key, revision }],
    deletes: [key],
    proof: { keys: [key], carries: ([row]) => row === undefined || formatId(row.value) !== before },
  })
  return result.committed
}
