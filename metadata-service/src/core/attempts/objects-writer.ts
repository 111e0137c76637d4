/** The compares that fence one writer's commits, and why they failed. */
import type { CairnError } from '@cairn/protocol'
import type { Compare } from '../../ports.js'
import type { ObjectWorld, RefusedRows } from './objects-attempts.js'
import type { WriterClaim } from './writer-guard.js'

/** Compares of a commit before the writer's own: bucket and key. */
const COMPARES_BEFORE = 2

export interface Writer {
  /** `SessionExpired`, `StaleClusterMap`. */
  compares(): Promise<readonly Compare[]>
  explain(refused: RefusedRows): Promise<CairnError | undefined>
}

/** Remembers the compares of the last attempt, to explain its refusal. */
export function createWriter(world: ObjectWorld, claim: WriterClaim): Writer {
  let tried: readonly Compare[] = []
  return {
    async compares() {
      tried = await world.guard.compares(claim)
      return tried
    },
    explain: (refused) => {
      const rows = refused.slice(COMPARES_BEFORE, COMPARES_BEFORE + tried.length)
      return world.guard.explain(claim, tried, rows)
    },
  }
}
