/**
 * Compares a mirror with its store, range by range at one revision each: key, revision, creation and value. What a
 * lost event has changed is found here if nothing else has shown it.
 */
import { sameBytes } from '@cairn/protocol'
import { successorOfKey } from '../../core/rows/keys.js'
import type { StoreKey, StoreRow } from '../../ports.js'
import type { MirrorSource } from '../../ports-mirror.js'
import type { MirrorFile } from './mirror-file.js'
import { AUDIT_ROWS } from './mirror-limits.js'
import { MIRROR_RANGE } from './mirror-rows.js'

/** What one step found. */
export interface AuditStep {
  readonly rows: number
  /** The first row of the range that differs. */
  readonly mismatch: StoreKey | undefined
  /** The pass over all rows is complete. */
  readonly isLast: boolean
}

export class MirrorAudit {
  private readonly source: MirrorSource
  private readonly file: MirrorFile
  private from: StoreKey = MIRROR_RANGE.from

  constructor(source: MirrorSource, file: MirrorFile) {
    this.source = source
    this.file = file
  }

  /** Compares the next range. Rejects if the store does not answer: the next step then begins where this one did. */
  async step(): Promise<AuditStep> {
    const { from } = this
    const { revision } = this.file.place
    const all = { from, to: MIRROR_RANGE.to }
    const ours = this.file.read([{ kind: 'scan', range: all, limit: AUDIT_ROWS }])[0] ?? []
    const last = ours.length < AUDIT_ROWS ? undefined : ours.at(-1)
    const to = last === undefined ? all.to : successorOfKey(last.key)
    const { rows } = await this.source.page({ from, to }, AUDIT_ROWS + 1, revision)
    this.from = last === undefined ? MIRROR_RANGE.from : to
    return { rows: ours.length, mismatch: firstDifference(ours, rows), isLast: last === undefined }
  }
}

function firstDifference(ours: readonly StoreRow[], theirs: readonly StoreRow[]): StoreKey | undefined {
  const most = Math.max(ours.length, theirs.length)
  for (let at = 0; at < most; at++) {
    const [our, their] = [ours[at], theirs[at]]
    if (our === undefined || their === undefined || !sameRow(our, their)) return (our ?? their)?.key
  }
  return undefined
}

/** Whether two rows are the same in all that counts. */
export function sameRow(a: StoreRow, b: StoreRow): boolean {
  return (
    a.revision === b.revision &&
    a.created === b.created &&
    sameBytes(a.key, b.key) &&
    sameBytes(a.value, b.value)
  )
}
