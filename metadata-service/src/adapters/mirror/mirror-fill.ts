/**
 * Fills a mirror: where it begins, and the pages beside which the changes are followed from there.
 *
 * The begin is a revision for which the version of `head` is known. Every page is of that revision or a newer one, so
 * each row is in a page or among the changes. Whole is the mirror once the changes up to the newest page are applied.
 */
import { CairnError, type Clock, type Random } from '@cairn/protocol'
import { Backoff } from '../../core/commit/commit-retry.js'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import { successorOfKey } from '../../core/rows/keys.js'
import type { StoreKey, StoreRange } from '../../ports.js'
import type { MirrorSource, SourcePage } from '../../ports-mirror.js'
import type { MirrorFile, MirrorPlace } from './mirror-file.js'
import { FILL_ROWS, PROGRESS_ROWS, SMALL_ENTRIES } from './mirror-limits.js'
import { PageEnds } from './mirror-page-ends.js'
import { MIRROR_RANGE, ROW_PREFIXES } from './mirror-rows.js'

export interface MirrorFillOptions {
  readonly source: MirrorSource
  readonly clock: Clock
  readonly random: Random
  readonly file: MirrorFile
  /** After every so many rows. */
  onProgress(rows: number): void
}

/** From where changes may be followed with nothing missed, as of now. */
export async function findPlace(source: MirrorSource): Promise<MirrorPlace> {
  const before = await source.head()
  const { revision } = await source.page({ from: HEAD_KEY, to: successorOfKey(HEAD_KEY) }, 1)
  const head = await source.head()
  // A store at rest may have compacted the revision of its last entry; one at work has not.
  return before.revision === head.revision ? { revision, head } : { revision: head.revision, head }
}

/** Reads all pages. What they are ahead of the changes is still to be applied then. */
export async function fillMirror(options: MirrorFillOptions, signal: AbortSignal): Promise<void> {
  const { source, file, clock } = options
  const { revision, head } = file.place
  const ask: Ask = (act) => untilAnswered(options, act, signal)
  let rows = 0
  for await (const page of presentPages({ source, entries: head.version, ask })) {
    if (page.revision < revision) throw new CairnError('Busy', 'a page is older than the begin of the fill')
    file.addPage(page.rows)
    if (Math.floor((rows + page.rows.length) / PROGRESS_ROWS) > Math.floor(rows / PROGRESS_ROWS)) {
      options.onProgress(rows + page.rows.length)
    }
    rows += page.rows.length
    await new Promise<void>((resolve) => clock.defer(resolve))
  }
}

/** Asks the store as often as it takes, or is worth. */
export type Ask = <T>(act: () => Promise<T>) => Promise<T>

/** All rows of a range of keys, at one revision. */
export interface PresentPage extends Pick<SourcePage, 'revision' | 'rows'> {
  readonly range: StoreRange
}

/** All rows of a store in use, in ranges with tight ends, each as of the moment at which it is read. */
export async function* presentPages(options: {
  readonly source: Pick<MirrorSource, 'page'>
  /** Number of entries of the store so far. */
  readonly entries: number
  readonly ask: Ask
}): AsyncGenerator<PresentPage> {
  const { source, entries, ask } = options
  const ends = new PageEnds(MIRROR_RANGE, ROW_PREFIXES, entries < SMALL_ENTRIES)
  let from: StoreKey = MIRROR_RANGE.from
  while (Buffer.compare(from, MIRROR_RANGE.to) < 0) {
    const range = { from, to: ends.next(from) }
    const { rows, revision, hasMore, count } = await ask(() => source.page(range, FILL_ROWS))
    ends.note({ rows, hasMore, count })
    const last = hasMore ? rows.at(-1) : undefined
    const to = last === undefined ? range.to : successorOfKey(last.key)
    yield { range: { from, to }, revision, rows }
    from = to
  }
}

/** Again after a failure, for as long as the fill is wanted. */
async function untilAnswered<T>(
  { clock, random }: MirrorFillOptions,
  act: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const backoff = new Backoff(clock, random)
  for (;;) {
    if (signal.aborted) throw new CairnError('ShuttingDown', 'the fill has been given up')
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof CairnError) || error.code === 'ShuttingDown') throw error
      await backoff.wait()
    }
  }
}
