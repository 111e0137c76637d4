/**
 * A clock whose time moves only when the simulation moves it. Timers due at one instant, and deferred tasks, run
 * in an order drawn from the seed, so that every run of one seed is the same and each seed is another schedule.
 */
import type { CancelTimer, Clock, Random } from '../ports.js'

interface Timer {
  readonly dueMs: number
  readonly rank: number
  readonly task: () => void
}

export interface SimulatedClock extends Clock {
  /** Runs tasks, moving time forward to each, until `done` settles or `limitMs` of simulated time has passed. */
  runUntil<T>(done: Promise<T>, limitMs?: number): Promise<T>
  /** Runs everything that is due within the next `durationMs`. */
  advance(durationMs: number): Promise<void>
  /** Shifts wall time, as an operator or NTP would; monotonic time stays. */
  jumpWall(deltaMs: number): void
}

/** Turns of the real event loop that a step waits for promise chains, WASM start-up and the like to settle. */
const SETTLE_TURNS = 1

export function createSimulatedClock(random: Random, startWallMs = 1_800_000_000_000): SimulatedClock {
  const timers = new Set<Timer>()
  let nowMs = 0
  let wallOffsetMs = startWallMs

  function setTimer(delayMs: number, task: () => void): CancelTimer {
    const timer: Timer = { dueMs: nowMs + Math.max(0, delayMs), rank: random.fraction(), task }
    timers.add(timer)
    return () => timers.delete(timer)
  }

  function takeNext(untilMs: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of timers) {
      if (timer.dueMs > untilMs) continue
      if (
        next === undefined ||
        timer.dueMs < next.dueMs ||
        (timer.dueMs === next.dueMs && timer.rank < next.rank)
      ) {
        next = timer
      }
    }
    if (next !== undefined) timers.delete(next)
    return next
  }

  async function settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn++)
      await new Promise<void>((resolve) => setImmediate(resolve))
  }

  /** Runs the next task that is due, after everything before it has settled, unless that was all there is to do. */
  async function step(untilMs: number, isDone: () => boolean = () => false): Promise<boolean> {
    await settle()
    if (isDone()) return false
    const timer = takeNext(untilMs)
    if (timer === undefined) return false
    nowMs = Math.max(nowMs, timer.dueMs)
    timer.task()
    return true
  }

  async function advance(durationMs: number): Promise<void> {
    const untilMs = nowMs + durationMs
    while (await step(untilMs));
    nowMs = untilMs
  }

  async function runUntil<T>(done: Promise<T>, limitMs = 600_000): Promise<T> {
    const untilMs = nowMs + limitMs
    let settled = false
    const marked = done.finally(() => {
      settled = true
    })
    marked.catch(() => undefined)
    while (await step(untilMs, () => settled));
    if (!settled)
      throw new Error(`simulation stands still at ${nowMs} ms: nothing is due before ${untilMs} ms`)
    return marked
  }

  return {
    wallMicros: () => Math.floor((wallOffsetMs + nowMs) * 1000),
    monotonicMs: () => nowMs,
    setTimer,
    defer(task: () => void): void {
      setTimer(0, task)
    },
    runUntil,
    advance,
    jumpWall(deltaMs: number): void {
      wallOffsetMs += deltaMs
    },
  }
}
