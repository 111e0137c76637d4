/**
 * The store that is filled: etcd below one prefix. Every step is one entry that is fenced by the row `m/move` as the
 * step before left it, and rewrites it: an entry whose answer is lost is simply sent again, since only one of the two
 * can happen, and the row tells which step was the last.
 */
import { CairnError, type Clock, hasCode, type Random, sameBytes } from '@cairn/protocol'
import { Backoff } from '../../core/commit/commit-retry.js'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import { successorOfKey } from '../../core/rows/keys.js'
import { MOVE_KEY, MOVED_KEY, MovedRow, MoveRow } from '../../core/rows/store-move.js'
import type { Commit, Entry, EntryFence, EntryStore, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import type { MirrorSource } from '../../ports-mirror.js'
import { type Ask, presentPages } from '../mirror/mirror-fill.js'
import { MIRROR_RANGE } from '../mirror/mirror-rows.js'

/** Longest time in ms in which a step is tried again. */
const TRY_MS = 60_000

/** Rows that an emptied store keeps until the move is over. */
const KEPT: readonly StoreKey[] = [HEAD_KEY, MOVE_KEY]

export type MovableStore = EntryStore & MirrorSource

/** What the rows `m/move` and `m/moved` say. */
export interface TargetState {
  readonly move: MoveRow | undefined
  readonly moved: MovedRow | undefined
  /** `moved` was written by the last entry of all. */
  readonly isUntouched: boolean
  /** No entry was ever written. */
  readonly isFresh: boolean
}

export interface MoveTargetOptions {
  readonly store: MovableStore
  readonly clock: Clock
  readonly random: Random
}

export class MoveTarget {
  readonly store: MovableStore
  private readonly options: MoveTargetOptions
  private move: MoveRow | undefined

  constructor(options: MoveTargetOptions) {
    this.options = options
    this.store = options.store
  }

  /** How far the move is that this object works on. */
  get progress(): MoveRow {
    if (this.move === undefined) throw new CairnError('Internal', 'no move was begun')
    return this.move
  }

  async state(): Promise<TargetState> {
    const keys = [MOVE_KEY, MOVED_KEY, HEAD_KEY]
    const { results } = await this.again(() => this.store.read(keys.map((key) => ({ kind: 'get', key }))))
    const [move, moved, head] = results.map((rows) => rows[0])
    return {
      move: move === undefined ? undefined : MoveRow.decode(move.value),
      moved: moved === undefined ? undefined : MovedRow.decode(moved.value),
      isUntouched: moved !== undefined && moved.revision === head?.revision,
      isFresh: head === undefined,
    }
  }

  /** Begins in an empty store. `InvalidArgument` if it is not. */
  async claim(move: MoveRow): Promise<void> {
    const compares = [{ kind: 'empty', range: MIRROR_RANGE }] as const
    await this.take(move, { compares })
    this.move = move
  }

  /** Goes on with a move that another attempt has begun: what that one may still have on its way is void. */
  async takeOver(found: MoveRow, next: MoveRow): Promise<void> {
    this.move = found
    await this.step(next, [])
  }

  /** Closes a completed store again to whoever might use it. `InvalidArgument` if it was written to since. */
  async reclaim(move: MoveRow, deletes: readonly StoreKey[]): Promise<void> {
    const keys = [HEAD_KEY, MOVED_KEY]
    const { results } = await this.again(() => this.store.read(keys.map((key) => ({ kind: 'get', key }))))
    const revision = results[0]?.[0]?.revision ?? 0
    const compares = keys.map((key) => ({ kind: 'revision', key, revision }) as const)
    await this.take(move, { compares, deletes })
    this.move = move
  }

  /** One entry; afterwards `next` stands. */
  async step(next: MoveRow, commits: readonly Commit[]): Promise<void> {
    const value = MoveRow.encode(next)
    const always = [
      { key: MOVE_KEY, value },
      { key: HEAD_KEY, value: Buffer.from(next.run) },
    ]
    const fence = this.fence()
    await this.send({ commits, always, fence }, async () => {
      const row = await this.get(MOVE_KEY)
      return row !== undefined && sameBytes(row.value, value)
    })
    this.move = next
  }

  /** The last entry: `m/move` gives way to `m/moved` and what else makes the store usable. */
  async complete(moved: MovedRow, puts: Commit['puts'] = []): Promise<void> {
    const all = [...puts, { key: MOVED_KEY, value: MovedRow.encode(moved) }]
    const commits = [{ compares: [], puts: all, deletes: [MOVE_KEY] }]
    const always = [{ key: HEAD_KEY, value: Buffer.from(this.progress.run) }]
    await this.send({ commits, always, fence: this.fence() }, async () => {
      const row = await this.get(MOVED_KEY)
      return row !== undefined && MovedRow.decode(row.value).id === moved.id
    })
  }

  /** Removes all rows but `head` and `m/move`, in pieces that hold nobody up. */
  async clear(onProgress: (rows: number) => void): Promise<void> {
    const ask: Ask = (act) => this.again(act)
    const { version } = await ask(() => this.store.head())
    let rows = 0
    for await (const page of presentPages({ source: this.store, entries: version, ask })) {
      if (page.rows.length === 0) continue
      const deleteRanges = rangesBetween(page.rows, page.range)
      await this.send({ commits: [{ compares: [], deleteRanges }], always: [], fence: this.fence() })
      rows += page.rows.length
      onProgress(rows)
    }
  }

  /** After `clear`: leaves nothing. */
  async leave(): Promise<void> {
    const commits = [{ compares: [], deletes: KEPT }]
    const isDone = async (): Promise<boolean> => (await this.get(MOVE_KEY)) === undefined
    await this.send({ commits, always: [], fence: this.fence() }, isDone)
  }

  private fence(): EntryFence {
    return { key: MOVE_KEY, value: MoveRow.encode(this.progress) }
  }

  private async get(key: StoreKey): Promise<StoreRow | undefined> {
    const { results } = await this.again(() => this.store.read([{ kind: 'get', key }]))
    return results[0]?.[0]
  }

  /** Puts `m/move` if `compares` hold. */
  private async take(move: MoveRow, commit: Commit): Promise<void> {
    const value = MoveRow.encode(move)
    const puts = [
      { key: MOVE_KEY, value },
      { key: HEAD_KEY, value: Buffer.from(move.run) },
    ]
    const results = await this.again(() => this.store.apply({ commits: [{ ...commit, puts }], always: [] }))
    if (results[0]?.committed === true) return
    const row = await this.get(MOVE_KEY)
    if (row !== undefined && sameBytes(row.value, value)) return
    throw new CairnError('InvalidArgument', 'etcd has been written to by somebody else')
  }

  /** Sends a fenced entry until it has happened. `PreconditionFailed` if somebody else works on the store. */
  private async send(entry: Entry, hasHappened = async (): Promise<boolean> => false): Promise<void> {
    try {
      await this.again(() => this.store.apply(entry))
    } catch (error) {
      if (!hasCode(error, 'PreconditionFailed')) throw error
      if (await hasHappened()) return
      throw new CairnError('InvalidArgument', 'another command works on the same etcd at this moment', {
        cause: error,
      })
    }
  }

  private async again<T>(act: () => Promise<T>): Promise<T> {
    const { clock, random } = this.options
    const backoff = new Backoff(clock, random)
    const untilMs = clock.monotonicMs() + TRY_MS
    for (;;) {
      try {
        return await act()
      } catch (error) {
        const mayHelp = hasCode(error, 'Busy', 'ConnectionLost', 'OutcomeUnknown')
        if (!mayHelp || clock.monotonicMs() >= untilMs) throw error
        await backoff.wait()
      }
    }
  }
}

/** A range without the rows that are kept. */
function rangesBetween(rows: readonly StoreRow[], { from, to }: StoreRange): StoreRange[] {
  const ranges: StoreRange[] = []
  let begin = from
  for (const { key } of rows) {
    if (!KEPT.some((kept) => Buffer.compare(kept, key) === 0)) continue
    ranges.push({ from: begin, to: key })
    begin = successorOfKey(key)
  }
  ranges.push({ from: begin, to })
  return ranges.filter((range) => Buffer.compare(range.from, range.to) < 0)
}
