/** Metadata → blocks: whether what versions and parts name is there, in as many good copies as their pool wants. */
import {
  type BlockEntry,
  type BlockId,
  type BlockMap,
  type BlockSlice,
  CairnError,
  type ClusterMap,
  type DriveId,
  formatId,
  PART_NUMBER_MAX,
  sameBytes,
} from '@cairn/protocol'
import { membersOf } from '../core/cluster/group-holders.js'
import {
  bucketOfKey,
  bucketRange,
  KEY_OFFSET,
  keyOfCurrent,
  parseOlderKey,
  parseUploadKey,
  partRange,
  rangeOfPrefix,
  spaceOfKey,
  successorOfKey,
} from '../core/rows/keys.js'
import { BucketRow, PartRow, UploadRow, VersionRow } from '../core/rows/rows.js'
import { type CopyJudgement, type CopyState, judgeCopies } from '../core/upkeep/repair-judgement.js'
import { isLive } from '../core/uploads/uploads-state.js'
import type { StoreKey, StoreRange, StoreRow } from '../ports.js'
import type { CheckWork } from './check-runner.js'

/** Rows of one read: a row holds at most 2 KiB of slices, and some metadata. */
const ROWS_PER_READ = 200
/** Slices looked up together. */
const SLICES_PER_BATCH = 500
/** Bytes of a `p/` key whose row is a part. */
const PART_KEY_BYTES = 20

/** A slice and the row that names it. */
interface Named {
  readonly slice: BlockSlice
  readonly pool: number
  readonly row: RowRef
}

/** A row as it was read. */
interface RowRef {
  readonly storeRow: StoreRow
  readonly space: string
  readonly key: string
}

/** Goes through all versions and all parts of open uploads. */
export async function checkRows(work: CheckWork): Promise<void> {
  const check = new RowCheck(work)
  await check.loadBuckets()
  await check.scan(rangeOfPrefix(Buffer.from('o/')), (row) => check.addVersion(row, keyOfCurrent(row.key)))
  await check.scan(rangeOfPrefix(Buffer.from('v/')), (row) =>
    check.addVersion(row, parseOlderKey(row.key).key),
  )
  await check.scan(rangeOfPrefix(Buffer.from('u/')), (row) => check.addUpload(row))
  await check.flush()
}

class RowCheck {
  private readonly work: CheckWork
  private readonly buckets = new Map<string, string>()
  private batch: Named[] = []

  constructor(work: CheckWork) {
    this.work = work
  }

  async loadBuckets(): Promise<void> {
    await this.scan(bucketRange(), async ({ key, value }) => {
      this.buckets.set(formatId(BucketRow.decode(value).space), bucketOfKey(key))
    })
  }

  async scan(range: StoreRange, visit: (row: StoreRow) => Promise<void>): Promise<void> {
    let from: StoreKey = range.from
    while (!this.work.signal.aborted) {
      const { results } = await this.work.store.read([
        { kind: 'scan', range: { from, to: range.to }, limit: ROWS_PER_READ },
      ])
      const rows = results[0] ?? []
      for (const row of rows) await visit(row)
      const last = rows.at(-1)
      if (last === undefined || rows.length < ROWS_PER_READ) return
      from = successorOfKey(last.key)
    }
  }

  async addVersion(storeRow: StoreRow, key: string): Promise<void> {
    const { map } = VersionRow.decode(storeRow.value)
    const space = formatId(spaceOfKey(storeRow.key))
    if (map !== undefined) await this.addMap(map, { storeRow, space, key })
  }

  /** Parts of an upload that has ended are being removed: they may lack anything. */
  async addUpload({ key: uploadKey, value }: StoreRow): Promise<void> {
    if (uploadKey.length <= KEY_OFFSET || !isLive(UploadRow.decode(value))) return
    const { space, key, op } = parseUploadKey(uploadKey)
    await this.scan(partRange(op), async (storeRow) => {
      if (storeRow.key.length !== PART_KEY_BYTES || isInitiation(storeRow.key)) return
      await this.addMap(PartRow.decode(storeRow.value).map, { storeRow, space: formatId(space), key })
    })
  }

  async flush(): Promise<void> {
    const batch = this.batch.splice(0)
    this.work.tally.done += batch.length
    if (batch.length === 0 || this.work.signal.aborted) return
    const first = await this.judge(batch, 'members')
    const doubtful = batch.filter((named, at) => !this.isWhole(named, first[at]))
    if (doubtful.length === 0) return
    const second = await this.judge(doubtful, 'all')
    const named = await this.areStillNamed(doubtful)
    doubtful.forEach((each, at) => {
      const judgement = second[at]
      if (named[at] && judgement !== undefined && !this.isWhole(each, judgement)) this.report(each, judgement)
    })
  }

  private async addMap(map: BlockMap, row: RowRef): Promise<void> {
    for (const slice of map.slices) await this.add({ slice, pool: map.pool, row })
    for (const { slice } of map.pages) {
      await this.add({ slice, pool: map.pool, row })
      for (const inner of await this.readPage(map.pool, slice, row)) {
        await this.add({ slice: inner, pool: map.pool, row })
      }
    }
  }

  private async readPage(pool: number, page: BlockSlice, row: RowRef): Promise<readonly BlockSlice[]> {
    try {
      const slices = await this.work.reclaimer.readPage(pool, page)
      if (slices !== undefined) return slices
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
    const message = `map page ${formatId(page.block)} cannot be read: what it names was not checked`
    this.work.tally.note('page', { block: formatId(page.block), ...this.nameOf(row), message })
    return []
  }

  private async add(named: Named): Promise<void> {
    this.batch.push(named)
    if (this.batch.length >= SLICES_PER_BATCH) await this.flush()
  }

  private isWhole({ pool }: Named, judgement: CopyJudgement | undefined): boolean {
    const wanted = this.work.cluster.known.pools.find(({ id }) => id === pool)?.replicas ?? 1
    return judgement !== undefined && judgement.goodMembers >= wanted
  }

  /** What each member says, and for the second look every other drive that answers. */
  private async judge(batch: readonly Named[], whom: 'members' | 'all'): Promise<CopyJudgement[]> {
    const map = await this.work.cluster.current()
    const members = batch.map(({ slice, pool }) => membersIn(map, pool, slice.block))
    const { answering } = this.work
    const states = batch.map(() => new Map<DriveId, CopyState>())
    const asked = (at: number): readonly DriveId[] =>
      whom === 'members' ? (members[at] ?? []) : [...new Set([...(members[at] ?? []), ...answering])]
    const drives = new Set(batch.flatMap((_, at) => asked(at)))
    for (const drive of drives) {
      const indexes = batch.flatMap((_, at) => (asked(at).includes(drive) ? [at] : []))
      const found = await this.find(
        drive,
        indexes.flatMap((at) => batch[at]?.slice.block ?? []),
      )
      for (const at of indexes) {
        const slice = batch[at]?.slice
        if (slice !== undefined) states[at]?.set(drive, stateOf(slice, found))
      }
    }
    return batch.map((_, at) => judgeCopies(states[at] ?? new Map(), members[at] ?? []))
  }

  private async find(
    drive: DriveId,
    blocks: readonly BlockId[],
  ): Promise<ReadonlyMap<string, BlockEntry> | undefined> {
    if (!this.work.states.answers(drive)) return undefined
    const distinct = [...new Map(blocks.map((block) => [formatId(block), block])).values()]
    try {
      const entries = await this.work.drives.find(drive, distinct)
      return new Map(entries.map((entry) => [formatId(entry.block), entry]))
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      return undefined
    }
  }

  /** The rows again, after the drives: what has been rewritten or has gone since is left to the next check. */
  private async areStillNamed(batch: readonly Named[]): Promise<boolean[]> {
    const still: boolean[] = []
    for (let at = 0; at < batch.length; at += ROWS_PER_READ) {
      const some = batch.slice(at, at + ROWS_PER_READ)
      const { results } = await this.work.store.readAuthority(
        some.map(({ row }) => ({ kind: 'get', key: row.storeRow.key })),
      )
      still.push(...some.map(({ row }, index) => results[index]?.[0]?.revision === row.storeRow.revision))
    }
    return still
  }

  private report({ slice, row }: Named, judgement: CopyJudgement): void {
    const { tally } = this.work
    const block = formatId(slice.block)
    const silent = judgement.unknown.length === 0 ? '' : `; ${judgement.unknown.join()} does not answer`
    const [drive] = [...judgement.unknown, ...judgement.lacking]
    const facts = { block, ...this.nameOf(row), ...(drive === undefined ? {} : { drive }) }
    if (judgement.good.length === 0 && judgement.unknown.length === 0) {
      const message = `no good copy of block ${block} is left`
      tally.add('dangling', `${block} ${formatId(row.storeRow.key)} ${slice.offset}`, { ...facts, message })
      return
    }
    const lacking = judgement.lacking.length === 0 ? '' : `, none on ${judgement.lacking.join()}`
    const message = `block ${block} has ${judgement.good.length} good copies${lacking}${silent}`
    tally.add('underReplicated', block, { ...facts, message })
  }

  private nameOf({ space, key }: RowRef): { bucket?: string; key: string } {
    const bucket = this.buckets.get(space)
    return bucket === undefined ? { key } : { bucket, key }
  }
}

function membersIn(map: ClusterMap, poolId: number, block: BlockId): readonly DriveId[] {
  const pool = map.pools.find(({ id }) => id === poolId)
  return pool === undefined ? [] : membersOf(map, pool, block)
}

/** An entry of another content than the row names is as good as a damaged one. */
function stateOf(
  { block, blockBytes, hash }: BlockSlice,
  found: ReadonlyMap<string, BlockEntry> | undefined,
): CopyState {
  if (found === undefined) return 'unknown'
  const entry = found.get(formatId(block))
  if (entry === undefined) return 'absent'
  const isRight = entry.sizeBytes === blockBytes && sameBytes(entry.hash, hash)
  return isRight ? entry : { ...entry, damaged: true }
}

/** Numbers above every part's are taken by other rows of the upload. */
function isInitiation(key: StoreKey): boolean {
  return (((key[PART_KEY_BYTES - 2] ?? 0) << 8) | (key[PART_KEY_BYTES - 1] ?? 0)) > PART_NUMBER_MAX
}
