import { randomBytes } from 'node:crypto'
// The global of this name is a getter, which costs more than the clock.
import { performance } from 'node:perf_hooks'
import type { CancelTimer, Clock, Random } from './ports.js'

/** The process clock. */
export const systemClock: Clock = {
  wallMicros(): number {
    return Date.now() * 1000
  },
  monotonicMs(): number {
    return performance.now()
  },
  setTimer(delayMs: number, task: () => void): CancelTimer {
    // Node keeps one list for each duration: fractions would make a list, and a place in a heap, for every timer.
    const timer = setTimeout(task, Math.ceil(delayMs))
    timer.unref()
    return () => clearTimeout(timer)
  },
  defer(task: () => void): void {
    setImmediate(task)
  },
}

/** The operating system's randomness. */
export const systemRandom: Random = {
  bytes(size: number): Uint8Array {
    return randomBytes(size)
  },
  fraction(): number {
    return Math.random()
  },
}
