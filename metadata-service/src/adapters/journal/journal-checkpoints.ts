/**
 * The checkpoints of a journaled store: when one is due, and the one under way. Frames that come meanwhile go into it,
 * so that the journals behind it begin where it ends.
 */
import { type Clock, formatId } from '@cairn/protocol'
import type { EntryStore } from '../../ports.js'
import { runCheckpoint } from './checkpoint-run.js'
import type { JournalDrive } from './journal-drive.js'
import { CHECKPOINT_JOURNAL_BYTES } from './journal-limits.js'
import type { JournalLog } from './journal-log.js'
import type { JournalQueue } from './journal-queue.js'

/** What checkpoints are made of. */
export interface JournalCheckpointsOptions {
  readonly store: EntryStore
  readonly clock: Clock
  readonly queue: JournalQueue
  /** All drives of the store. */
  readonly drives: readonly JournalDrive[]
  readonly log: JournalLog | undefined
  /** The last entry that was applied, and whose it is. */
  readonly last: () => { readonly number: number; readonly lineage: Buffer; readonly clusterId: string }
  /** Somebody waits for the next checkpoint. */
  readonly isHurried: () => boolean
}

export class JournalCheckpoints {
  /** Checkpoints since the start. */
  made = 0
  private readonly options: JournalCheckpointsOptions
  private running: { readonly aborter: AbortController; readonly done: Promise<void> } | undefined
  /** Frames for the checkpoint under way. */
  private tap: Buffer[] | undefined
  private lastBytes = 0
  /** `queue.bytes` at the last checkpoint of all drives. */
  private madeAt = 0
  private closed = false

  constructor(options: JournalCheckpointsOptions) {
    this.options = options
  }

  /** The journals have grown enough since the last one. */
  get isDue(): boolean {
    const since = this.options.queue.bytes - this.madeAt
    return since > Math.max(CHECKPOINT_JOURNAL_BYTES, this.lastBytes / 2)
  }

  /** A frame that was applied: the checkpoint under way must have it. */
  take(frame: Buffer): void {
    this.tap?.push(frame)
  }

  /** Makes a checkpoint for these drives; nothing if one is under way. */
  start(drives: readonly JournalDrive[]): void {
    if (this.running !== undefined || this.closed || drives.length === 0) return
    const aborter = new AbortController()
    const done = this.make(drives, aborter.signal)
      .catch((err: unknown) => this.options.log?.error({ err }, 'a checkpoint of the metadata failed'))
      .finally(() => {
        this.tap = undefined
        this.running = undefined
      })
    this.running = { aborter, done }
  }

  /** Gives the checkpoint under way up. */
  abort(): void {
    this.running?.aborter.abort()
  }

  /** Resolves when none is under way. */
  async idle(): Promise<void> {
    await this.running?.done
  }

  /** Gives the one under way up and begins none any more. */
  close(): void {
    this.closed = true
    this.abort()
  }

  private async make(drives: readonly JournalDrive[], signal: AbortSignal): Promise<void> {
    const { store, clock, log, queue, last } = this.options
    await Promise.all(drives.map((drive) => drive.reopen()))
    const { number: after, lineage, clusterId } = last()
    this.tap = []
    const outcome = await runCheckpoint({
      store,
      clock,
      signal,
      folders: drives.map(({ copies }) => copies),
      head: {
        lineage: formatId(lineage),
        clusterId,
        after,
        wallMicros: clock.wallMicros(),
      },
      takeFrames: () => this.tap?.splice(0) ?? [],
      lastNumber: () => last().number,
      onCut: () => {
        this.tap = undefined
        const cut = queue.end
        // From here on the queue keeps what they need.
        for (const drive of drives) if (drive.state === 'waits') drive.follow(cut, 'joins')
      },
      isHurried: this.options.isHurried(),
    })
    if (outcome === undefined) return
    this.made++
    this.lastBytes = outcome.bytes
    if (drives.length === this.options.drives.length) this.madeAt = queue.bytes
    await Promise.all(drives.map((drive, at) => this.install(drive, outcome.targets[at]?.failure)))
    log?.info(
      { number: outcome.number, bytes: outcome.bytes, drives: drives.length },
      'metadata checkpoint made',
    )
  }

  private async install(drive: JournalDrive, failure: unknown): Promise<void> {
    if (failure !== undefined) return drive.lose('failed', failure)
    try {
      drive.joined()
      await drive.rotate()
      await drive.removeOld()
    } catch (error) {
      drive.lose('failed', error)
    }
  }
}
