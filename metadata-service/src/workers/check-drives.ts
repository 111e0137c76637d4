/** Blocks → metadata: what the drives hold, whether anything names it, and whether its bytes are right. */
import {
  type BlockEntry,
  type BlockId,
  type DriveId,
  formatId,
  LIST_PAGE_MAX,
  sessionOf,
} from '@cairn/protocol'
import { sessionKey } from '../core/rows/keys.js'
import { judgeOwner, type OrphanVerdict, orphanReads, READS_PER_OWNER } from '../core/upkeep/orphans.js'
import type { CheckWork } from './check-runner.js'
import { advanceFrom, DriveList, lowestOf } from './drive-lists.js'
import { readGarbageMaps } from './orphan-worker.js'

/** Blocks judged by one read. */
const BLOCKS_PER_READ = 50
/** Blocks verified by one call: a full read of up to 16 × 8 MiB. */
const BLOCKS_PER_VERIFY = 16
/** Possible orphans that are looked at again together. */
const CANDIDATES_MAX = 5_000

/** One block with its entry on each drive that lists it. */
interface Listed {
  readonly block: BlockId
  readonly copies: ReadonlyMap<DriveId, BlockEntry>
}

/** Goes through the lists of all drives that answer. */
export async function checkDrives(work: CheckWork): Promise<void> {
  const { clock, drives, tally, signal, answering } = work
  const onError = (what: string, error: unknown): void =>
    tally.note('unreachable', { message: `${what}: ${error instanceof Error ? error.message : error}` })
  const lists = answering.map(
    (drive) => new DriveList({ clock, drives, onError }, drive, { withOwner: true }),
  )
  await Promise.all(lists.map((list) => list.advance()))
  const check = new DriveCheck(work)
  for (;;) {
    const lowest = lowestOf(lists)
    if (lowest === undefined || signal.aborted) break
    const copies = new Map<DriveId, BlockEntry>()
    for (const list of lists) {
      const entry = list.entryOf(lowest)
      if (entry !== undefined) copies.set(list.drive, entry)
    }
    await check.add({ block: lowest, copies })
    await advanceFrom(lists, lowest)
  }
  await check.finish()
}

class DriveCheck {
  private readonly work: CheckWork
  private batch: Listed[] = []
  private candidates: Listed[] = []

  constructor(work: CheckWork) {
    this.work = work
  }

  async add(listed: Listed): Promise<void> {
    this.batch.push(listed)
    if (this.batch.length >= BLOCKS_PER_READ) await this.judgeBatch()
  }

  async finish(): Promise<void> {
    if (this.work.signal.aborted) return
    await this.judgeBatch()
    await this.confirmOrphans()
  }

  private async judgeBatch(): Promise<void> {
    const batch = this.batch.splice(0)
    const { tally } = this.work
    tally.blocks += batch.length
    tally.done += batch.length
    const verdicts = await this.judge(batch)
    const held = batch.filter((_, at) => verdicts[at] === 'held')
    this.candidates.push(...batch.filter((_, at) => verdicts[at] === 'orphan'))
    tally.pending += verdicts.filter((verdict) => verdict === 'pending').length
    await this.checkBytes(held)
    if (this.candidates.length >= CANDIDATES_MAX) await this.confirmOrphans()
  }

  /** As the orphan worker does; what is of a live writer, or in its grace, is pending. */
  private async judge(batch: readonly Listed[]): Promise<OrphanVerdict[]> {
    const owners = batch.map(({ copies }) => [...copies.values()].find(({ owner }) => owner)?.owner)
    const known = owners.flatMap((owner) => owner ?? [])
    const { results } = await this.work.store.readAuthority([
      ...known.flatMap(orphanReads),
      ...batch.map(({ block }) => ({ kind: 'get' as const, key: sessionKey(sessionOf(block)) })),
    ])
    const sessions = results.slice(known.length * READS_PER_OWNER)
    let index = 0
    return batch.map(({ block, copies }, at) => {
      const owner = owners[at]
      if (owner === undefined) return 'pending'
      const verdict = judgeOwner(owner, results.slice(index * READS_PER_OWNER, (index + 1) * READS_PER_OWNER))
      index++
      if (verdict !== 'orphan') return verdict
      const isPast = [...copies.keys()].some((drive) =>
        this.work.orphans.isPastGrace(drive, sessionOf(block)),
      )
      return isPast && sessions[at]?.length === 0 ? 'orphan' : 'pending'
    })
  }

  /** The second look at what nothing seemed to name: rows, garbage, and whether it is there at all any more. */
  private async confirmOrphans(): Promise<void> {
    const candidates = this.candidates.splice(0)
    const { store, clock, tally } = this.work
    for (let at = 0; at < candidates.length; at += BLOCKS_PER_READ) {
      const some = candidates.slice(at, at + BLOCKS_PER_READ)
      const verdicts = await this.judge(some)
      tally.pending += verdicts.filter((verdict) => verdict === 'pending').length
      const orphans = some.filter((_, index) => verdicts[index] === 'orphan')
      if (orphans.length === 0) continue
      const inGarbage = await readGarbageMaps(store, clock)
      const waiting = orphans.filter((listed) => inGarbage.has(mapOf(listed)))
      tally.pending += waiting.length
      for (const listed of orphans) if (!waiting.includes(listed)) await this.reportOrphan(listed)
    }
  }

  private async reportOrphan({ block, copies }: Listed): Promise<void> {
    for (const [drive, { owner }] of copies) {
      const [entry] = await this.findAgain(drive, [block])
      if (entry === undefined) continue
      const message = `nothing names block ${formatId(block)}`
      const facts = owner === undefined ? {} : { bucket: owner.bucket, key: owner.key }
      this.work.tally.add('orphaned', formatId(block), { block: formatId(block), drive, ...facts, message })
    }
  }

  private async checkBytes(batch: readonly Listed[]): Promise<void> {
    for (const drive of this.work.answering) {
      const listed = batch.filter(({ copies }) => copies.has(drive))
      const marked = listed.filter(({ copies }) => copies.get(drive)?.damaged === true)
      const blocks = (this.work.deep ? listed : marked).map(({ block }) => Uint8Array.from(block) as BlockId)
      for (let at = 0; at < blocks.length; at += BLOCKS_PER_VERIFY) {
        await this.verify(drive, blocks.slice(at, at + BLOCKS_PER_VERIFY))
      }
    }
  }

  /** Twice, since it may have been mended meanwhile. */
  private async verify(drive: DriveId, blocks: readonly BlockId[]): Promise<void> {
    const { drives, deep, tally } = this.work
    const wrong = deep ? await this.attempt(drive, () => drives.verify(drive, blocks)) : blocks
    if (wrong.length === 0) return
    const still = deep
      ? await this.attempt(drive, () => drives.verify(drive, wrong))
      : (await this.findAgain(drive, wrong)).flatMap((entry) => (entry.damaged === true ? entry.block : []))
    for (const block of still) {
      const message = `the copy of block ${formatId(block)} on drive ${drive} is damaged`
      tally.add('corrupt', `${formatId(block)} ${drive}`, { block: formatId(block), drive, message })
    }
  }

  private findAgain(drive: DriveId, blocks: readonly BlockId[]): Promise<readonly BlockEntry[]> {
    return this.attempt(drive, () => this.work.drives.find(drive, blocks.slice(0, LIST_PAGE_MAX)))
  }

  private async attempt<T>(drive: DriveId, call: () => Promise<readonly T[]>): Promise<readonly T[]> {
    try {
      return await call()
    } catch (error) {
      const message = `drive ${drive} stopped answering: ${error instanceof Error ? error.message : error}`
      this.work.tally.note('unreachable', { drive, message })
      return []
    }
  }
}

function mapOf({ copies }: Listed): string {
  const owner = [...copies.values()].find((entry) => entry.owner !== undefined)?.owner
  return owner === undefined ? '' : formatId(owner.map)
}
