/**
 * How fast repair may write: a token bucket whose rate yields to the foreground. It falls when timers come late or
 * commits take long, compared with what is usual while repair is idle or at its floor, and rises again step by step:
 * a machine that others keep busy is no reason to crawl. It never falls below a floor: repair always goes on.
 */
import type { CancelTimer, Clock } from '@cairn/protocol'

/** Slowest and fastest rate, and the first one. */
export const REPAIR_RATE_MIN: number = 8 * 1024 * 1024
const REPAIR_RATE_MAX: number = 1024 * 1024 * 1024
const RATE_FIRST = 64 * 1024 * 1024

/** A block costs this much at least: small ones cost calls and syncs rather than bytes. */
export const REPAIR_COST_MIN: number = 32 * 1024

/** Saved up at most: what a quarter of a second may write. */
const BURST_SECONDS = 0.25
/** Timers by which the lateness of the event loop is measured, and how many make one step. */
const PROBE_MS = 20
const PROBES_PER_STEP = 10
/** A timer this late is what a foreground call waits too; where timers are usually late, a multiple of that. */
const LATE_MS = 12
const LATE_FACTOR = 2.5
/** Weight of one step at the floor in what is usual. */
const FLOOR_WEIGHT = 0.5
/** Commits that take so many times the usual are held up. */
const SLOW_COMMIT_FACTOR = 2.5
/** The usual commit is never taken for faster than this. */
const COMMIT_MS_MIN = 2
const RISE_FACTOR = 1.25
const FALL_FACTOR = 0.7
/** Weight of one commit in the usual duration. */
const USUAL_WEIGHT = 0.02

export class RepairBudget {
  private readonly clock: Clock
  private tokens = 0
  private filledAtMs: number
  private rate = RATE_FIRST
  private users = 0
  private cancelProbe: CancelTimer | undefined
  private probes = 0
  private lateMs = 0
  private commitMs = 0
  private commits = 0
  private usualCommitMs: number | undefined
  private usualLateMs = 0

  constructor(clock: Clock) {
    this.clock = clock
    this.filledAtMs = clock.monotonicMs()
  }

  /** Bytes per second, now. */
  get rateBytes(): number {
    return this.rate
  }

  /** A foreground commit took so long. */
  noteCommit(durationMs: number): void {
    if (this.users === 0) {
      const usual = this.usualCommitMs ?? durationMs
      this.usualCommitMs = usual + (durationMs - usual) * USUAL_WEIGHT
    } else {
      this.commitMs += durationMs
      this.commits++
    }
  }

  /** Repair works until the same number of `end`: the foreground is watched meanwhile. */
  begin(): void {
    if (this.users++ > 0) return
    this.filledAtMs = this.clock.monotonicMs()
    this.probe()
  }

  end(): void {
    if (--this.users > 0) return
    this.cancelProbe?.()
    this.cancelProbe = undefined
  }

  /** Waits until so many bytes may be written. A debt is paid by whoever comes next. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.fill() <= 0) {
      const waitMs = Math.min(250, Math.max(1, (-this.tokens * 1000) / this.rate))
      await new Promise<void>((resolve) => this.clock.setTimer(waitMs, resolve))
    }
    this.tokens -= bytes
  }

  private fill(): number {
    const nowMs = this.clock.monotonicMs()
    const gained = ((nowMs - this.filledAtMs) * this.rate) / 1000
    this.filledAtMs = nowMs
    this.tokens = Math.min(this.rate * BURST_SECONDS, this.tokens + gained)
    return this.tokens
  }

  private probe(): void {
    const dueMs = this.clock.monotonicMs() + PROBE_MS
    this.cancelProbe = this.clock.setTimer(PROBE_MS, () => {
      this.lateMs += Math.max(0, this.clock.monotonicMs() - dueMs)
      if (++this.probes >= PROBES_PER_STEP) this.step()
      this.probe()
    })
  }

  private step(): void {
    const lateMs = this.lateMs / this.probes
    const commitMs = this.commits === 0 ? undefined : this.commitMs / this.commits
    const isLate = lateMs > Math.max(LATE_MS, this.usualLateMs * LATE_FACTOR)
    const usualMs = Math.max(COMMIT_MS_MIN, this.usualCommitMs ?? COMMIT_MS_MIN)
    const isSlow = commitMs !== undefined && commitMs > usualMs * SLOW_COMMIT_FACTOR
    if (this.rate <= REPAIR_RATE_MIN) this.learn(lateMs, commitMs)
    const rate = this.rate * (isLate || isSlow ? FALL_FACTOR : RISE_FACTOR)
    this.rate = Math.min(REPAIR_RATE_MAX, Math.max(REPAIR_RATE_MIN, rate))
    this.probes = 0
    this.lateMs = 0
    this.commitMs = 0
    this.commits = 0
  }

  /** At the floor it is not repair that holds others up: this is how it is now. */
  private learn(lateMs: number, commitMs: number | undefined): void {
    this.usualLateMs += (lateMs - this.usualLateMs) * FLOOR_WEIGHT
    if (commitMs === undefined) return
    const usual = this.usualCommitMs ?? commitMs
    this.usualCommitMs = usual + (commitMs - usual) * FLOOR_WEIGHT
  }
}
