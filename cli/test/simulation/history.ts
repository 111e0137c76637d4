/** The outside ledger of a simulated run. */
import { CallHistory } from '@cairn/e2e/check'

export type { Call, Condition, Effect, Seen } from '@cairn/e2e/check'

export class Ledger extends CallHistory {
  /** Maps (hex) with borrowed parts, and those they borrow from: their garbage waits for one another. */
  readonly entangled: Set<string> = new Set()
}
