import { showKeys } from './keys.js'
import { showKill } from './kill.js'
import type { Report } from './report.js'

/** An acceptance run: real processes, real clients, an outside ledger. */
export type Run = (report: Report) => Promise<void>

/** All runs by name. */
export const RUNS: ReadonlyMap<string, Run> = new Map<string, Run>([
  ['keys', showKeys],
  ['kill', (report) => showKill(report)],
])
