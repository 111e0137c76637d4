/**
 * Makes the copies that blocks lack.
 *
 * For each suspicious block: 1 every drive of its group is asked for it; 2 the bytes are taken from the budget; 3 the
 * store says, at one revision, whether a row still names the block; 4 only then is it copied from a good copy. What is
 * dead or unknown is left as it is: deletes stay deleted however long a drive was away. A drive that does not answer is
 * not without the block. A crash leaves at most copies that are right.
 */
import {
  type BlockEntry,
  type BlockId,
  CairnError,
  type Clock,
  type ClusterMap,
  type DriveId,
  formatId,
  hasCode,
  LIST_PAGE_MAX,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import { holdersOf, membersOf } from '../core/cluster/group-holders.js'
import { orphanReads, READS_PER_OWNER } from '../core/upkeep/orphans.js'
import { REPAIR_COST_MIN, type RepairBudget } from '../core/upkeep/repair-budget.js'
import {
  type BlockLiveness,
  type CopyFacts,
  type CopyJudgement,
  type CopyState,
  judgeBlock,
  judgeCopies,
} from '../core/upkeep/repair-judgement.js'
import { RepairQueue, type SuspectBlock } from '../core/upkeep/repair-queue.js'
import type { KeyValueStore } from '../ports.js'
import type { DriveMender } from '../ports-blocks.js'

/** Blocks looked up together, and batches under way at once: 64 copies in flight. */
const BLOCKS_PER_BATCH = 16
const BATCHES_IN_FLIGHT = 4
/** Bytes of one batch that are copied at once: more would hold up the event loop. */
const BYTES_PER_STEP = 8 * 1024 * 1024
/** A block that could not be repaired is tried again so often, after pauses that double. */
const ATTEMPTS_MAX = 8
const RETRY_MS = 1_000
const RETRIES_MAX = 10_000
/** Blocks remembered as lacking a copy; beyond it they are only counted once they are looked at again. */
const LACKING_MAX = 1_000_000

export interface RepairWorkerOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly cluster: ClusterState
  readonly drives: DriveMender
  readonly budget: RepairBudget
  /** Whether a drive answers calls now; others are not asked. */
  answers(drive: DriveId): boolean
  /** A copy that failed, or a block that cannot be repaired now. */
  onError(what: string, error: unknown): void
}

/** Sums since the start. */
export interface RepairCounts {
  readonly blocksRepaired: number
  readonly bytesRepaired: number
  readonly failures: number
}

/** A block with what its drives said. */
interface Examined {
  readonly suspect: SuspectBlock
  readonly judgement: CopyJudgement
  /** Drives of its group now; others are about to join it, and may lack it without a fault. */
  readonly members: readonly DriveId[]
  /** Every drive that was asked has answered, members and others. */
  readonly allAnswered: boolean
}

/** An examined block that lacks a copy and has a good one. */
interface Task extends Examined {
  readonly facts: CopyFacts
}

interface Lack {
  atMs: number
  hasGoodCopy: boolean
}

export class RepairWorker {
  readonly queue: RepairQueue = new RepairQueue()
  private readonly options: RepairWorkerOptions
  private readonly lacking = new Map<string, Lack>()
  /** Taken from the queue and not settled yet: who watches a block hears of it once, whatever fails on the way. */
  private readonly open = new Set<SuspectBlock>()
  private retries: { readonly suspect: SuspectBlock; readonly dueAtMs: number }[] = []
  private counts: { blocksRepaired: number; bytesRepaired: number; failures: number } = {
    blocksRepaired: 0,
    bytesRepaired: 0,
    failures: 0,
  }

  constructor(options: RepairWorkerOptions) {
    this.options = options
  }

  get done(): RepairCounts {
    return this.counts
  }

  /** Live blocks known to lack a good copy, and those of them without any. */
  get known(): { readonly underReplicated: number; readonly unavailable: number } {
    let unavailable = 0
    for (const { hasGoodCopy } of this.lacking.values()) if (!hasGoodCopy) unavailable++
    return { underReplicated: this.lacking.size, unavailable }
  }

  /** Works until nothing is queued. */
  async drain(signal: AbortSignal): Promise<void> {
    this.requeue()
    if (this.queue.size === 0) return
    const { budget } = this.options
    budget.begin()
    try {
      await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, () => this.runBatches(signal)))
    } finally {
      budget.end()
    }
  }

  /** Blocks that a comparison begun at `sinceMs` has not found again are whole or gone. */
  forgetLacking(sinceMs: number): void {
    for (const [name, { atMs }] of this.lacking) if (atMs < sinceMs) this.lacking.delete(name)
  }

  /** Lets go of everything that waits: who watches it hears that it is not whole. */
  abandon(): void {
    for (const suspect of this.queue.clear()) tell(suspect, false)
  }

  private requeue(): void {
    const nowMs = this.options.clock.monotonicMs()
    const due = this.retries.filter(({ dueAtMs }) => dueAtMs <= nowMs)
    if (due.length === 0) return
    this.retries = this.retries.filter(({ dueAtMs }) => dueAtMs > nowMs)
    for (const { suspect } of due) this.queue.add(suspect)
  }

  private async runBatches(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const batch = this.queue.take(BLOCKS_PER_BATCH)
      if (batch.length === 0) return
      await this.runBatch(batch, signal)
    }
  }

  /** However it ends, every block of the batch is settled then. */
  private async runBatch(batch: readonly SuspectBlock[], signal: AbortSignal): Promise<void> {
    for (const suspect of batch) this.open.add(suspect)
    try {
      await this.repairBatch(batch, signal)
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      this.options.onError('look at blocks', error)
    } finally {
      for (const suspect of batch) this.fail(suspect)
    }
  }

  private async repairBatch(batch: readonly SuspectBlock[], signal: AbortSignal): Promise<void> {
    const map = await this.options.cluster.current()
    const tasks: Task[] = []
    for (const examined of await this.examine(batch, map)) {
      const { facts, good, lacking } = examined.judgement
      if (facts !== undefined && good.length > 0 && lacking.length > 0) tasks.push({ ...examined, facts })
      else await this.settleUncopied(examined)
    }
    for (const step of splitByBytes(tasks)) {
      await this.options.budget.take(costOf(step), signal)
      if (signal.aborted) for (const { suspect } of step) this.fail(suspect)
      else await this.copyConfirmed(step)
    }
  }

  private async examine(batch: readonly SuspectBlock[], map: ClusterMap): Promise<Examined[]> {
    const listed = batch.map(({ block, pool: id }) => {
      const pool = map.pools.find((each) => each.id === id)
      if (pool === undefined) return { holders: [], members: [] }
      return { holders: holdersOf(map, pool, block), members: membersOf(map, pool, block) }
    })
    const judge = (at: number, suspect: SuspectBlock, states: ReadonlyMap<DriveId, CopyState>): Examined => {
      const { holders = [], members = [] } = listed[at] ?? {}
      const allAnswered = ![...states.values()].includes('unknown')
      return { suspect, judgement: judgeCopies(states, holders), members, allAnswered }
    }
    const first = await this.ask(
      batch,
      batch.map((suspect, at) => [...new Set([...(listed[at]?.holders ?? []), ...seenOn(suspect)])]),
    )
    const judged = batch.map((suspect, at) => judge(at, suspect, first[at] ?? new Map()))
    const others = map.drives.map(({ id }) => id).filter((id) => this.options.answers(id))
    const helpless = judged.map(({ judgement }, at) =>
      judgement.good.length > 0 ? [] : others.filter((id) => !first[at]?.has(id)),
    )
    if (!helpless.some((drives) => drives.length > 0)) return judged
    const second = await this.ask(batch, helpless)
    return batch.map((suspect, at) =>
      judge(at, suspect, new Map([...(first[at] ?? []), ...(second[at] ?? [])])),
    )
  }

  /** What each drive says of each block; drives that do not answer say `unknown`. */
  private async ask(
    batch: readonly SuspectBlock[],
    drivesOf: readonly (readonly DriveId[])[],
  ): Promise<Map<DriveId, CopyState>[]> {
    const states = batch.map(() => new Map<DriveId, CopyState>())
    const drives = new Set(drivesOf.flat())
    const askDrive = async (drive: DriveId): Promise<void> => {
      const indexes = batch.flatMap((_, at) => (drivesOf[at]?.includes(drive) ? [at] : []))
      const found = await this.find(
        drive,
        indexes.flatMap((at) => batch[at]?.block ?? []),
      )
      for (const at of indexes) {
        const name = formatId(batch[at]?.block ?? new Uint8Array())
        states[at]?.set(drive, found === undefined ? 'unknown' : (found.get(name) ?? 'absent'))
      }
    }
    await Promise.all([...drives].map(askDrive))
    return states
  }

  private async find(
    drive: DriveId,
    blocks: readonly BlockId[],
  ): Promise<ReadonlyMap<string, BlockEntry> | undefined> {
    if (!this.options.answers(drive) || blocks.length > LIST_PAGE_MAX) return undefined
    try {
      const entries = await this.options.drives.find(drive, blocks)
      return new Map(entries.map((entry) => [formatId(entry.block), entry]))
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      return undefined
    }
  }

  /** Nothing is to be copied, or nothing can be. */
  private async settleUncopied(examined: Examined): Promise<void> {
    const { suspect, judgement, allAnswered } = examined
    const { good, lacking, unknown, facts, isPresent } = judgement
    if (lacking.length === 0) {
      this.lacking.delete(formatId(suspect.block))
      if (unknown.length === 0) return this.settle(suspect)
      return this.fail(suspect)
    }
    if (!isPresent) {
      this.lacking.delete(formatId(suspect.block))
      // One that has not answered, of the group or not, may have the only copy.
      return allAnswered ? this.settle(suspect) : this.fail(suspect)
    }
    if (facts === undefined) {
      this.options.onError(`block ${formatId(suspect.block)}`, conflict(suspect))
      return this.fail(suspect)
    }
    const [liveness] = await this.confirm([{ ...examined, facts }])
    if (liveness === 'dead') return this.leave(suspect)
    if (liveness === 'live') this.noteLacking(suspect, good.length > 0)
    this.fail(suspect)
  }

  private async copyConfirmed(tasks: readonly Task[]): Promise<void> {
    const liveness = await this.confirm(tasks)
    await Promise.all(
      tasks.map((task, at) => {
        if (liveness[at] === 'live') return this.copyTo(task)
        if (liveness[at] === 'dead') this.leave(task.suspect)
        else this.fail(task.suspect)
        return undefined
      }),
    )
  }

  /** ● Whether rows name these blocks: read in the store, at one revision. */
  private async confirm(tasks: readonly Task[]): Promise<BlockLiveness[]> {
    const { results } = await this.options.store.readAuthority(
      tasks.flatMap(({ facts }) => orphanReads(facts.owner)),
    )
    return tasks.map(({ suspect, facts }, at) =>
      judgeBlock(suspect.block, facts.owner, results.slice(at * READS_PER_OWNER, (at + 1) * READS_PER_OWNER)),
    )
  }

  private async copyTo(task: Task): Promise<void> {
    const { suspect, judgement, members } = task
    if (judgement.lacking.some((drive) => members.includes(drive))) this.noteLacking(suspect, true)
    const done = await Promise.all(judgement.lacking.map((drive) => this.copyOne(task, drive)))
    if (done.includes(false)) return this.fail(suspect)
    this.lacking.delete(formatId(suspect.block))
    this.counts.blocksRepaired++
    if (judgement.unknown.length > 0) this.fail(suspect)
    else this.settle(suspect)
  }

  /** From one good copy after the other, until one has really been good, and there to be had. */
  private async copyOne(task: Task, drive: DriveId): Promise<boolean> {
    const { suspect, facts } = task
    const { block, pool } = suspect
    for (const source of this.sourcesOf(task)) {
      try {
        const writtenBytes = await this.options.drives.copy({ drive, source, block, pool, ...facts })
        this.counts.bytesRepaired += writtenBytes
        return true
      } catch (error) {
        if (!(error instanceof CairnError)) throw error
        this.counts.failures++
        this.options.onError(`copy of block ${formatId(block)} from ${source} to ${drive}`, error)
        const isOfSource = error.details.at === 'source'
        if (!isOfSource && !hasCode(error, 'BlockCorrupt', 'NoSuchBlock', 'BlockUnavailable')) return false
      }
    }
    return false
  }

  /**
   * Doubtful drives last. Each attempt begins with another one: a call that ends by its own deadline does not say whose
   * fault that was.
   */
  private sourcesOf({ suspect, judgement }: Task): DriveId[] {
    const { drives } = this.options.cluster.known
    const doubtful = new Set(drives.filter(({ state }) => state === 'suspect').map(({ id }) => id))
    const { good } = judgement
    const sorted = [...good.filter((id) => !doubtful.has(id)), ...good.filter((id) => doubtful.has(id))]
    const first = suspect.attempts % sorted.length
    return [...sorted.slice(first), ...sorted.slice(0, first)]
  }

  /** No row names it: others free it, or have. */
  private leave(suspect: SuspectBlock): void {
    this.lacking.delete(formatId(suspect.block))
    this.settle(suspect)
  }

  private noteLacking({ block }: SuspectBlock, hasGoodCopy: boolean): void {
    const name = formatId(block)
    if (this.lacking.size >= LACKING_MAX && !this.lacking.has(name)) return
    this.lacking.set(name, { atMs: this.options.clock.monotonicMs(), hasGoodCopy })
  }

  /** Nothing is owed for it any more. */
  private settle(suspect: SuspectBlock): void {
    if (this.open.delete(suspect)) tell(suspect, true)
  }

  /** Not whole yet, unless it is settled: whoever watches hears so now, and it is tried again later. */
  private fail(suspect: SuspectBlock): void {
    if (!this.open.delete(suspect)) return
    tell(suspect, false)
    const attempts = suspect.attempts + 1
    if (attempts >= ATTEMPTS_MAX || this.retries.length >= RETRIES_MAX) return
    const dueAtMs = this.options.clock.monotonicMs() + RETRY_MS * 2 ** suspect.attempts
    this.retries.push({ suspect: { ...suspect, watchers: [], attempts }, dueAtMs })
  }
}

function tell({ block, watchers }: SuspectBlock, whole: boolean): void {
  for (const watcher of watchers) watcher.settled(block, whole)
}

function seenOn({ seenOn: drive }: SuspectBlock): readonly DriveId[] {
  return drive === undefined ? [] : [drive]
}

function conflict({ block }: SuspectBlock): CairnError {
  return new CairnError('BlockConflict', `the copies of block ${formatId(block)} do not agree`)
}

function costOf(tasks: readonly Task[]): number {
  return tasks.reduce(
    (sum, { facts, judgement }) =>
      sum + Math.max(REPAIR_COST_MIN, facts.sizeBytes) * judgement.lacking.length,
    0,
  )
}

/** Tasks in order, in steps that move at most BYTES_PER_STEP, or one block. */
function splitByBytes(tasks: readonly Task[]): Task[][] {
  const steps: Task[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const task of tasks) {
    bytes += task.facts.sizeBytes
    if (bytes > BYTES_PER_STEP) {
      steps.push([])
      bytes = task.facts.sizeBytes
    }
    steps.at(-1)?.push(task)
  }
  return steps
}
