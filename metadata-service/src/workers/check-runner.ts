/**
 * The check of metadata against blocks, both ways. It changes nothing, and runs beside everything else: what looks
 * wrong is looked at a second time, rows and drives, before it counts. A drive that does not answer is told, never
 * taken for empty. One check runs at a time; the last one is remembered until the next.
 */
import {
  CairnError,
  type CheckReport,
  type Clock,
  type DriveId,
  formatId,
  type Random,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import type { DriveStates } from '../core/cluster/drive-states.js'
import { CheckTally } from '../core/upkeep/check-tally.js'
import type { KeyValueStore } from '../ports.js'
import type { BlockReclaimer, DriveMender } from '../ports-blocks.js'
import { checkDrives } from './check-drives.js'
import { checkRows } from './check-rows.js'
import type { OrphanWorker } from './orphan-worker.js'

export interface CheckRunnerOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
  readonly cluster: ClusterState
  readonly states: DriveStates
  readonly drives: DriveMender
  readonly reclaimer: Pick<BlockReclaimer, 'readPage'>
  /** Knows whose grace is over. */
  readonly orphans: Pick<OrphanWorker, 'isPastGrace'>
}

/** What the two halves of a check share. */
export interface CheckWork extends CheckRunnerOptions {
  readonly tally: CheckTally
  readonly deep: boolean
  readonly signal: AbortSignal
  /** Drives that answered when the check began. */
  readonly answering: readonly DriveId[]
}

const CHECK_ID_BYTES = 8

export class CheckRunner {
  private readonly options: CheckRunnerOptions
  private tally: CheckTally | undefined
  private abort = new AbortController()
  private running: Promise<void> = Promise.resolve()

  constructor(options: CheckRunnerOptions) {
    this.options = options
  }

  /** The name of the check that has begun; `Busy` while another runs. */
  start(deep: boolean): string {
    if (this.tally?.state === 'running') {
      throw new CairnError('Busy', 'a check is running', { details: { check: this.tally.check } })
    }
    const tally = new CheckTally(formatId(this.options.random.bytes(CHECK_ID_BYTES)), 0)
    this.tally = tally
    this.abort = new AbortController()
    this.running = this.run(tally, deep, this.abort.signal)
    return tally.check
  }

  /** The check of this name is the last one here. */
  knows(name: string): boolean {
    return this.tally?.check === name
  }

  /** The check of this name, or the last one; `InvalidArgument` if it is not known. */
  get(name: string | undefined, cancel: boolean): CheckReport {
    const { tally } = this
    if (tally === undefined || (name !== undefined && name !== tally.check)) {
      throw new CairnError('InvalidArgument', 'there is no such check')
    }
    if (cancel && tally.state === 'running') this.abort.abort()
    return tally.report
  }

  /** Cancels what runs; resolves when it has ended. */
  async close(): Promise<void> {
    this.abort.abort()
    await this.running
  }

  private async run(tally: CheckTally, deep: boolean, signal: AbortSignal): Promise<void> {
    try {
      const map = await this.options.cluster.current()
      const { states, cluster } = this.options
      const ids = map.drives.map(({ id }) => id)
      const answering = ids.filter((id) => states.answers(id))
      const stored = answering.map((id) => cluster.heartbeats.ofDrive(id)?.report.blockCount ?? 0)
      const replicas = Math.max(1, ...map.pools.map((pool) => pool.replicas))
      tally.total = Math.ceil((2 * stored.reduce((sum, count) => sum + count, 0)) / replicas)
      const work = { ...this.options, tally, deep, signal, answering }
      this.noteSilent(work, ids)
      await checkDrives(work)
      tally.phase = 'rows'
      tally.total = Math.max(tally.total, 2 * tally.done)
      await checkRows(work)
      tally.total = tally.done
      tally.state = signal.aborted ? 'cancelled' : 'done'
    } catch (error) {
      tally.state = signal.aborted ? 'cancelled' : 'failed'
      tally.error = error instanceof Error ? error.message : String(error)
    }
  }

  private noteSilent({ tally, answering }: CheckWork, ids: readonly DriveId[]): void {
    const { pools } = this.options.cluster.known
    for (const drive of ids.filter((id) => !answering.includes(id))) {
      const holds = pools.some(({ drives }) => drives.includes(drive))
      if (holds) tally.note('unreachable', { drive, message: `drive ${drive} does not answer` })
    }
  }
}
