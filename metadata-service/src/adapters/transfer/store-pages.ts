/** All rows of a store, page by page in the order of their keys: as they are copied and compared. */
import { type BlockHasher, type Clock, createBlockHasher, hasCode, sameBytes } from '@cairn/protocol'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import { isWithin, successorOfKey } from '../../core/rows/keys.js'
import { MOVE_KEY, MOVED_KEY } from '../../core/rows/store-move.js'
import type { EntryStore, StoreKey, StoreRow } from '../../ports.js'
import { LEASED_RANGES, MIRROR_RANGE } from '../mirror/mirror-rows.js'

/**
 * Rows that belong to one store and its running services: the end of a lease deletes some, every entry writes `head`.
 */
export function staysBehind(key: StoreKey): boolean {
  if (LEASED_RANGES.some((range) => isWithin(key, range))) return true
  return [HEAD_KEY, MOVE_KEY, MOVED_KEY].some((own) => Buffer.compare(own, key) === 0)
}

/** Attempts at one page, and the pause between two in ms. */
export const ATTEMPTS_MAX: number = 5
export const RETRY_MS: number = 200

/** Rows of a store that nobody writes to, behind a key; without those that stay behind. */
export async function* pagesOf(
  store: Pick<EntryStore, 'read'>,
  options: { readonly after: StoreKey; readonly limit: number },
): AsyncGenerator<readonly StoreRow[]> {
  const { after, limit } = options
  let from = after.length === 0 ? MIRROR_RANGE.from : successorOfKey(after)
  for (;;) {
    const range = { from, to: MIRROR_RANGE.to }
    const { results } = await store.read([{ kind: 'scan', range, limit }])
    const rows = results[0] ?? []
    yield rows.filter(({ key }) => !staysBehind(key))
    const last = rows.at(-1)
    if (last === undefined || rows.length < limit) return
    from = successorOfKey(last.key)
  }
}

/** Asks again after an answer that did not come. */
export async function retry<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask()
    } catch (error) {
      if (!hasCode(error, 'Busy', 'ConnectionLost') || attempt >= ATTEMPTS_MAX) throw error
      await wait(clock, RETRY_MS)
    }
  }
}

/** Some time later. */
export function wait(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(ms, resolve))
}

/** Number of rows, and BLAKE3 of their keys and values. */
export interface RowsDigest {
  readonly rows: number
  readonly hash: string
}

/** Takes rows in the order of their keys. */
export class RowsDigester {
  private readonly hasher: BlockHasher = createBlockHasher()
  private rows = 0

  add(rows: readonly StoreRow[]): void {
    this.rows += rows.length
    this.hasher.update(Buffer.concat(rows.flatMap(partsOf)))
  }

  digest(): RowsDigest {
    return { rows: this.rows, hash: Buffer.from(this.hasher.digest()).toString('hex') }
  }
}

function partsOf({ key, value }: StoreRow): Uint8Array[] {
  const lengths = Buffer.allocUnsafe(8)
  lengths.writeUInt32LE(key.length, 0)
  lengths.writeUInt32LE(value.length, 4)
  return [lengths, key, value]
}

/** The first key whose rows are not the same on both sides. */
export function firstDifference(
  ours: readonly StoreRow[],
  theirs: readonly StoreRow[],
): StoreKey | undefined {
  const at = Array.from({ length: Math.max(ours.length, theirs.length) }, (_, index) => index).find(
    (index) => !isSame(ours[index], theirs[index]),
  )
  return at === undefined ? undefined : (ours[at] ?? theirs[at])?.key
}

function isSame(a: StoreRow | undefined, b: StoreRow | undefined): boolean {
  return a !== undefined && b !== undefined && sameBytes(a.key, b.key) && sameBytes(a.value, b.value)
}
