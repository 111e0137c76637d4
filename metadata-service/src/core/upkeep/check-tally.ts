/** What a check has counted so far. Each block counts once in each kind of trouble. */
import { CHECK_FINDINGS_MAX, type CheckFinding, type CheckReport, type CheckState } from '@cairn/protocol'

/** Names of troubles remembered so as to count each once; beyond it a shared block may count twice. */
const NAMES_MAX = 1_000_000

/** Kinds of trouble that make a check fail. */
export type CheckTrouble = 'underReplicated' | 'corrupt' | 'orphaned' | 'dangling'

export class CheckTally {
  readonly check: string
  state: CheckState = 'running'
  phase = 'drives'
  done = 0
  total: number
  blocks = 0
  pending = 0
  error: string | undefined
  private readonly counts: Record<CheckTrouble, number> = {
    underReplicated: 0,
    corrupt: 0,
    orphaned: 0,
    dangling: 0,
  }
  private readonly named = new Set<string>()
  private readonly findings: CheckFinding[] = []

  constructor(check: string, total: number) {
    this.check = check
    this.total = total
  }

  /** Counts a trouble once by its name, and keeps the finding if there is room. */
  add(trouble: CheckTrouble, name: string, finding: Omit<CheckFinding, 'kind'>): void {
    const key = `${trouble} ${name}`
    if (this.named.has(key)) return
    if (this.named.size < NAMES_MAX) this.named.add(key)
    this.counts[trouble]++
    this.note(trouble, finding)
  }

  /** Something to be told that counts for nothing by itself. */
  note(kind: string, finding: Omit<CheckFinding, 'kind'>): void {
    if (this.findings.length < CHECK_FINDINGS_MAX) this.findings.push({ kind, ...finding })
  }

  get report(): CheckReport {
    const { check, state, phase, done, blocks, pending, error } = this
    return {
      check,
      state,
      phase,
      done,
      total: Math.max(done, this.total),
      blocks,
      ...this.counts,
      pending,
      findings: [...this.findings],
      ...(error === undefined ? {} : { error }),
    }
  }
}
