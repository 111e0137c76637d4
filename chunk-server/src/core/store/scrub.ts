/**
 * The scrub of one drive: pass after pass, each spread over a part of the interval, so that no block goes unread for
 * longer than that. A pass that a restart broke off goes on where it was. It yields to foreground calls as long as it
 * keeps to its time; a pass that is late hardly does: a drive that is always busy keeps its interval too.
 */
import { type Clock, hasCode, type Random, type ScrubReport } from '@cairn/protocol'
import type { Disk } from '../../ports.js'
import type { StoreCounters } from '../segments/write-state.js'
import { loadScrubState, type ScrubState, saveScrubState } from './scrub-state.js'
import type { ScrubControl, ScrubPosition } from './segment-scrubber.js'

/** Share of the interval that a pass takes, less a random part of it: drives must not march in step. */
const PASS_SHARE = 0.9
const PASS_JITTER = 0.3
/** Most that a drive reads for its scrub, however short the interval. */
const BYTES_PER_SECOND_MAX = 96 * 1024 * 1024
/** Pause while foreground calls are in flight, and how long they may put off one read: of a late pass one pause. */
const YIELD_MS = 5
const YIELD_MS_MAX = 100
/** Share of the interval by which a pass may be behind its pace before it counts as late. */
const LATE_SHARE = 0.05
/** Shortest time between two passes, and between two writes of the state. */
const PASS_PAUSE_MS = 50
const SAVE_MS = 60_000
/** Longest interval: what a timer can wait for. */
const INTERVAL_MS_MAX = 20 * 86_400_000
/** Pause after a pass that failed. */
const RETRY_MS = 10_000

/** A store that can be read through in the order of the disk. */
export interface StoreScrubber {
  /** Bytes that a pass from `position` on reads at most. */
  bytesFrom(position: ScrubPosition): number
  /** Reads on to the end of the pass; false if the signal ended it before. */
  pass(position: ScrubPosition, control: ScrubControl): Promise<boolean>
}

export interface ScrubOptions {
  readonly store: StoreScrubber
  readonly counters: Readonly<StoreCounters>
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly intervalMs: number
  /** Foreground calls are in flight. */
  readonly isBusy: () => boolean
  /** The drive takes writes. */
  readonly isUp: () => boolean
  readonly onError: (error: unknown) => void
}

export class Scrub {
  private readonly options: ScrubOptions
  private readonly stop = new AbortController()
  private state: ScrubState | undefined
  private savedAtMs: number
  private passLeftBytes = 0
  private running: Promise<void> = Promise.resolve()

  constructor(options: ScrubOptions) {
    this.options = options
    this.savedAtMs = options.clock.monotonicMs()
  }

  /** Begins; passes go on until `close`. */
  start(): void {
    this.running = this.run()
  }

  report(): ScrubReport {
    const { counters } = this.options
    const { state } = this
    const passDoneBytes = state?.passDoneBytes ?? 0
    return {
      blocksScrubbed: counters.blocksScrubbed,
      bytesScrubbed: counters.bytesScrubbed,
      damageFound: counters.blocksCorrupt,
      passesDone: state?.passesDone ?? 0,
      passDoneBytes,
      passTotalBytes: passDoneBytes + this.passLeftBytes,
      lastPassEndedMs: state?.lastPassEndedMs ?? 0,
    }
  }

  /** Ends the pass after the read under way and keeps its position, as far as the drive takes it. */
  async close(): Promise<void> {
    if (this.stop.signal.aborted) return
    this.stop.abort()
    await this.running
    await this.keep().catch(() => undefined)
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        this.state ??= await loadScrubState(this.options.disk)
        await this.pass(this.state)
      } catch (error) {
        this.options.onError(error)
        if (hasCode(error, 'DriveFailed')) return
        await this.pause(RETRY_MS)
      }
    }
  }

  private async pass(state: ScrubState): Promise<void> {
    const { clock, random, intervalMs, store } = this.options
    const startedAtMs = state.startedAtMs === 0 ? this.nowMs() : state.startedAtMs
    const longestMs = Math.min(intervalMs, INTERVAL_MS_MAX)
    const passMs = longestMs * (PASS_SHARE - PASS_JITTER * random.fraction())
    const spentMs = Math.max(0, this.nowMs() - startedAtMs)
    const endsAtMs = clock.monotonicMs() + Math.max(0, passMs - spentMs)
    this.passLeftBytes = store.bytesFrom(state.position)
    this.state = { ...state, startedAtMs }
    const pace = new Pace(this.options, this.stop.signal, {
      startMs: clock.monotonicMs(),
      endsAtMs,
      totalBytes: this.passLeftBytes,
      slackMs: longestMs * LATE_SHARE,
    })
    const isDone = await store.pass(state.position, {
      signal: this.stop.signal,
      admit: (sizeBytes) => this.admit(pace, sizeBytes),
      passed: (position) => this.passed(position),
    })
    if (!isDone) return
    this.finish()
    await this.save()
    await this.pause(Math.max(PASS_PAUSE_MS, endsAtMs - clock.monotonicMs()))
  }

  private async admit(pace: Pace, sizeBytes: number): Promise<void> {
    await pace.admit(sizeBytes)
    if (this.state === undefined) return
    this.passLeftBytes = Math.max(0, this.passLeftBytes - sizeBytes)
    this.state = { ...this.state, passDoneBytes: this.state.passDoneBytes + sizeBytes }
  }

  private passed(position: ScrubPosition): void {
    if (this.state === undefined) return
    this.state = { ...this.state, position }
    if (this.options.clock.monotonicMs() - this.savedAtMs < SAVE_MS) return
    this.save().catch(this.options.onError)
  }

  private finish(): void {
    const passesDone = (this.state?.passesDone ?? 0) + 1
    this.passLeftBytes = 0
    this.state = {
      position: { segment: 0, suspects: [] },
      startedAtMs: 0,
      passDoneBytes: 0,
      passesDone,
      lastPassEndedMs: this.nowMs(),
    }
  }

  private async save(): Promise<void> {
    const nowMs = this.options.clock.monotonicMs()
    if (nowMs - this.savedAtMs < SAVE_MS) return
    this.savedAtMs = nowMs
    await this.keep()
  }

  /** A full drive keeps the state that it has. */
  private async keep(): Promise<void> {
    if (this.state === undefined || !this.options.isUp()) return
    try {
      await saveScrubState(this.options.disk, this.state)
    } catch (error) {
      if (!hasCode(error, 'DriveFull')) throw error
    }
  }

  private nowMs(): number {
    return Math.floor(this.options.clock.wallMicros() / 1000)
  }

  private pause(delayMs: number): Promise<void> {
    return pause(this.options.clock, delayMs, this.stop.signal)
  }
}

/** When a pass reads how much. */
interface PacePlan {
  readonly startMs: number
  readonly endsAtMs: number
  readonly totalBytes: number
  /** Delay that foreground calls may cause. */
  readonly slackMs: number
}

/** Spreads the bytes of a pass over its time. */
class Pace {
  private readonly options: Pick<ScrubOptions, 'clock' | 'isBusy'>
  private readonly signal: AbortSignal
  private readonly plan: PacePlan
  private doneBytes = 0
  /** Before this the cap allows no further read. */
  private freeAtMs = 0

  constructor(options: Pick<ScrubOptions, 'clock' | 'isBusy'>, signal: AbortSignal, plan: PacePlan) {
    this.options = options
    this.signal = signal
    this.plan = plan
  }

  async admit(sizeBytes: number): Promise<void> {
    const { clock, isBusy } = this.options
    const { startMs, endsAtMs, totalBytes, slackMs } = this.plan
    const dueMs = startMs + (endsAtMs - startMs) * Math.min(1, this.doneBytes / Math.max(1, totalBytes))
    const waitMs = Math.max(dueMs, this.freeAtMs) - clock.monotonicMs()
    if (waitMs > 1) await pause(clock, waitMs, this.signal)
    const spareMs = dueMs + slackMs - clock.monotonicMs()
    const yieldMs = Math.min(YIELD_MS_MAX, Math.max(YIELD_MS, spareMs))
    for (let spentMs = 0; isBusy() && spentMs < yieldMs; spentMs += YIELD_MS) {
      await pause(clock, YIELD_MS, this.signal)
    }
    this.doneBytes += sizeBytes
    const nowMs = clock.monotonicMs()
    this.freeAtMs = Math.max(this.freeAtMs, nowMs) + (sizeBytes * 1000) / BYTES_PER_SECOND_MAX
  }
}

/** Resolves after `delayMs`, or at once when the signal is aborted. */
function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      cancel()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const cancel = clock.setTimer(delayMs, end)
    signal.addEventListener('abort', end)
  })
}
