/** All rows of a store, page by page in the order of their keys: as they are copied, compared and backed up. */
import { type BlockHasher, type Clock, createBlockHasher, hasCode, sameBytes } from '@cairn/protocol'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import { isWithin, successorOfKey } from '../../core/rows/keys.js'
import { MOVE_KEY, MOVED_KEY } from '../../core/rows/store-move.js'
import type { EntryStore, StoreKey, StoreRow } from '../../ports.js'
import type { MirrorSource } from '../../ports-mirror.js'
import { FILL_ROWS, SMALL_ENTRIES } from '../mirror/mirror-limits.js'
import { PageEnds } from '../mirror/mirror-page-ends.js'
import { LEASED_RANGES, MIRROR_RANGE, ROW_PREFIXES } from '../mirror/mirror-rows.js'

/**
 * Rows that belong to one store and its running services: the end of a lease deletes some, every entry writes `head`.
 */
export function staysBehind(key: StoreKey): boolean {
  if (LEASED_RANGES.some((range) => isWithin(key, range))) return true
  return [HEAD_KEY, MOVE_KEY, MOVED_KEY].some((own) => Buffer.compare(own, key) === 0)
}

/** Attempts at one page. */
const ATTEMPTS_MAX = 5
const RETRY_MS = 200

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

export interface PagesAtOptions {
  readonly clock: Clock
  /** `Busy` once the store keeps it no longer. */
  readonly revision: number
  /** Pause after each page with rows, in times of what the page took: others use the store meanwhile. */
  readonly pauseFactor: number
}

/** All rows of a store as of one revision, in ranges with tight ends; without those that stay behind. */
export async function* pagesAt(
  source: MirrorSource,
  options: PagesAtOptions,
): AsyncGenerator<readonly StoreRow[]> {
  const { clock, revision, pauseFactor } = options
  const isSmall = (await retry(clock, () => source.head())).version < SMALL_ENTRIES
  const ends = new PageEnds(MIRROR_RANGE, ROW_PREFIXES, isSmall)
  let { from } = MIRROR_RANGE
  while (Buffer.compare(from, MIRROR_RANGE.to) < 0) {
    const startedMs = clock.monotonicMs()
    const range = { from, to: ends.next(from) }
    const page = await retry(clock, () => source.page(range, FILL_ROWS, revision))
    ends.note(page)
    const tookMs = clock.monotonicMs() - startedMs
    yield page.rows.filter(({ key }) => !staysBehind(key))
    const last = page.hasMore ? page.rows.at(-1) : undefined
    from = last === undefined ? range.to : successorOfKey(last.key)
    if (page.rows.length > 0 && pauseFactor > 0) await wait(clock, tookMs * pauseFactor)
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

function wait(clock: Clock, ms: number): Promise<void> {
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
