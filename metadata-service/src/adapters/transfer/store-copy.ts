/**
 * Copies all rows of a store that nobody writes to into an empty one, verifies them, and lets the copy begin a new
 * life:
 *
 * 1. `m/move` is put into the empty store: no service uses it from now on.
 * 2. The rows are copied in the order of their keys, in full entries; each entry says in `m/move` how far it is.
 * 3. Both sides are read anew and compared: row by row, by number and by hash.
 * 4. Whoever called closes the source.
 * 5. One entry removes `m/move`, writes the new incarnation and `m/moved`.
 *
 * A crash before 5 leaves a store that no service uses; the next attempt goes on where the last one was.
 */
import { CairnError, type Clock, formatId, type Random } from '@cairn/protocol'
import { CLUSTER_RANGE } from '../../core/rows/cluster-state-rows.js'
import { successorOfKey } from '../../core/rows/keys.js'
import type { MovedRow, MoveKind, MoveRow } from '../../core/rows/store-move.js'
import type { Commit, EntryStore, StoreRange, StoreRow } from '../../ports.js'
import { lineageOf, readFacts } from '../journal/journal-lineage.js'
import { MIRROR_RANGE } from '../mirror/mirror-rows.js'
import { type MovableStore, MoveTarget } from './move-target.js'
import { newLife } from './recover-rows.js'
import { firstDifference, pagesOf, type RowsDigest, RowsDigester, retry, staysBehind } from './store-pages.js'

/**
 * Rows and bytes of one entry. etcd takes 128 operations on a path of branches and leaves, and 1.5 MiB; mirrors take it
 * that a store of few entries has few rows (`SMALL_ENTRIES`).
 */
const BRANCHES = 8
const ROWS_PER_BRANCH = 112
const ROWS_PER_ENTRY = BRANCHES * ROWS_PER_BRANCH
const ENTRY_BYTES = 1024 * 1024

/** Rows that may stand between those of a page and were not copied: `head`, `m/move`. */
const OWN_ROWS_MAX = 8

/** What etcd adds to a row, and our prefix. */
const ROW_OVERHEAD_BYTES = 64

/** Rows under `m/`. */
const CLUSTER_ROWS_MAX = 10_000

export type CopyStep = 'copying' | 'verifying' | 'removing'

export interface StoreCopyOptions {
  readonly source: EntryStore
  readonly target: MovableStore
  readonly kind: MoveKind
  readonly clock: Clock
  readonly random: Random
  /** Rows done in this step. */
  readonly onProgress?: (step: CopyStep, rows: number) => void
}

/** The source: which cluster, which life of it, and the revision of its last entry. */
export interface SourceFacts {
  readonly clusterId: string
  readonly lineage: string
  readonly head: number
}

/** `InvalidArgument` if it holds no cluster. */
export async function readSource(store: EntryStore): Promise<SourceFacts> {
  const { cluster, head } = await readFacts(store)
  if (cluster === undefined) throw new CairnError('InvalidArgument', 'the store holds no cluster yet')
  return { clusterId: cluster.clusterId, lineage: formatId(lineageOf(cluster)), head }
}

export class StoreCopy {
  readonly target: MoveTarget
  private readonly options: StoreCopyOptions
  private readonly facts: SourceFacts

  constructor(options: StoreCopyOptions, facts: SourceFacts) {
    this.options = options
    this.facts = facts
    this.target = new MoveTarget({ ...options, store: options.target })
  }

  /** Step 1, or where an earlier attempt at the same left off. */
  async begin(options: { readonly resume: boolean }): Promise<void> {
    const { move, isFresh } = await this.target.state()
    if (move === undefined) {
      if (!isFresh) throw notFresh()
      return this.target.claim(this.firstRow())
    }
    if (move.source !== this.facts.lineage || move.kind !== this.options.kind) throw otherSource()
    if (move.state === 'copying' && !options.resume) throw notEnded()
    const isSame = move.state === 'copying' && move.sourceHead === this.facts.head
    if (isSame) return this.target.takeOver(move, { ...move, run: this.newRun() })
    const first = this.firstRow()
    await this.target.takeOver(move, { ...first, state: 'undoing' })
    await this.target.clear((rows) => this.options.onProgress?.('removing', rows))
    await this.target.step(first, [])
  }

  /** Steps 2 and 3. */
  async copy(): Promise<RowsDigest> {
    const { source, onProgress } = this.options
    const { after } = this.target.progress
    for await (const page of pagesOf(source, { after, limit: ROWS_PER_ENTRY })) {
      for (const rows of splitByBytes(page)) await this.put(rows)
      onProgress?.('copying', this.target.progress.rows)
    }
    return this.verify()
  }

  /** Step 5. */
  async complete(digest: RowsDigest): Promise<{ readonly incarnation: string; readonly moved: MovedRow }> {
    const { target, clock, random, kind } = this.options
    const { id, source } = this.target.progress
    const { results } = await target.read([{ kind: 'scan', range: CLUSTER_RANGE, limit: CLUSTER_ROWS_MAX }])
    const atMs = Math.floor(clock.wallMicros() / 1000)
    const life = newLife(results[0] ?? [], { random, nowMs: atMs })
    if (life === undefined) throw new CairnError('MessageCorrupt', 'the copy holds no cluster row')
    const moved: MovedRow = { id, kind, source, rows: digest.rows, hash: digest.hash, atMs }
    await this.target.complete(moved, life.puts)
    return { incarnation: life.incarnation, moved }
  }

  private async put(rows: readonly StoreRow[]): Promise<void> {
    const last = rows.at(-1)
    if (last === undefined) return
    const { progress } = this.target
    const commits: Commit[] = []
    for (let at = 0; at < rows.length; at += ROWS_PER_BRANCH) {
      const part = rows.slice(at, at + ROWS_PER_BRANCH)
      commits.push({ compares: [], puts: part.map(({ key, value }) => ({ key, value })) })
    }
    await this.target.step({ ...progress, after: last.key, rows: progress.rows + rows.length }, commits)
  }

  /**
   * The keys of the source tell where ranges of the copy may end, so that none is wide. They need not be of one
   * revision, which etcd would have to keep: another command that writes makes step 5 fail.
   */
  private async verify(): Promise<RowsDigest> {
    const { source, onProgress } = this.options
    const [ours, theirs] = [new RowsDigester(), new RowsDigester()]
    let { from } = MIRROR_RANGE
    let rows = 0
    for await (const page of pagesOf(source, { after: Buffer.alloc(0), limit: ROWS_PER_ENTRY })) {
      const last = page.at(-1)
      if (last === undefined) continue
      const to = successorOfKey(last.key)
      theirs.add(await this.compare(page, { from, to }))
      ours.add(page)
      from = to
      rows += page.length
      onProgress?.('verifying', rows)
    }
    await this.compare([], { from, to: MIRROR_RANGE.to })
    const [digest, other] = [ours.digest(), theirs.digest()]
    if (digest.rows === other.rows && digest.hash === other.hash) return digest
    throw new CairnError('MessageCorrupt', 'the hash of the copy is not that of its source')
  }

  /** The rows of the copy. `MessageCorrupt` if they are not these. */
  private async compare(rows: readonly StoreRow[], range: StoreRange): Promise<readonly StoreRow[]> {
    const { target, clock } = this.options
    const page = await retry(clock, () => target.page(range, ROWS_PER_ENTRY + OWN_ROWS_MAX))
    const copied = page.rows.filter(({ key }) => !staysBehind(key))
    const wrong = firstDifference(rows, copied)
    if (wrong === undefined && !page.hasMore) return copied
    const name = wrong === undefined ? 'further keys' : Buffer.from(wrong).toString('latin1')
    throw new CairnError('MessageCorrupt', `the copy differs from its source: ${JSON.stringify(name)}`)
  }

  private firstRow(): MoveRow {
    return moveRow(this.options, this.facts)
  }

  private newRun(): Uint8Array {
    return this.options.random.bytes(16)
  }
}

/** The row of a move that has done nothing yet. */
export function moveRow(
  { kind, random }: Pick<StoreCopyOptions, 'kind' | 'random'>,
  { lineage, head }: Pick<SourceFacts, 'lineage' | 'head'>,
): MoveRow {
  return {
    id: formatId(random.bytes(8)),
    run: random.bytes(16),
    kind,
    state: 'copying',
    source: lineage,
    sourceHead: head,
    after: Buffer.alloc(0),
    rows: 0,
  }
}

function* splitByBytes(rows: readonly StoreRow[]): Generator<readonly StoreRow[]> {
  let part: StoreRow[] = []
  let size = 0
  for (const row of rows) {
    const rowBytes = row.key.length + row.value.length + ROW_OVERHEAD_BYTES
    if (part.length > 0 && size + rowBytes > ENTRY_BYTES) {
      yield part
      part = []
      size = 0
    }
    part.push(row)
    size += rowBytes
  }
  yield part
}

function notFresh(): CairnError {
  return new CairnError(
    'InvalidArgument',
    'etcd holds rows below this prefix already: give another CAIRN_ETCD_PREFIX',
  )
}

function otherSource(): CairnError {
  return new CairnError(
    'InvalidArgument',
    'below this prefix another store is being moved to etcd: give another CAIRN_ETCD_PREFIX',
  )
}

function notEnded(): CairnError {
  return new CairnError(
    'InvalidArgument',
    'a move of this store to this etcd did not end: --resume goes on with it, --undo takes it back',
  )
}
