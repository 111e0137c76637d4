import type { Unit } from './types.js'

/** What a body needs from its connection. */
export interface BodyLink {
  /** Whether bodies may send now; false while too much is unsent. */
  readonly writable: boolean
  /** Runs `wake` once the connection is writable again, in the order of parking. */
  park(wake: () => void): void
  sendUnit(stream: number, unit: Unit): void
  sendEnd(stream: number): void
  sendCredit(stream: number, grantedBytes: number): void
}
