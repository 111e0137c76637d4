/** Rows that writes put beside versions: debts of groups, and proofs that an operation ran. */
import type { SpaceId } from '@cairn/protocol'
import type { Put } from '../../ports.js'
import { dirtyKey, EVERY_GROUP, garbageKey } from '../rows/keys.js'
import { DirtyRow, GarbageRow } from '../rows/rows.js'
import type { WriteStep } from './version-write-state.js'

/** Debts that a commit names one by one; above it it names EVERY_GROUP of the pool. */
const DIRTY_GROUPS_PER_COMMIT_MAX = 32

/** The debts of a write: groups of which a block is stored on fewer drives than the pool wants. */
export function dirtyPuts(
  pool: number,
  groups: readonly number[],
  step: Pick<WriteStep, 'op' | 'nowMicros'>,
): Put[] {
  if (groups.length === 0) return []
  const value = DirtyRow.encode({ op: step.op, sinceMicros: step.nowMicros })
  const distinct = new Set(groups)
  const named = distinct.size > DIRTY_GROUPS_PER_COMMIT_MAX ? [EVERY_GROUP] : [...distinct]
  return named.map((group) => ({ key: dirtyKey(pool, group), value }))
}

/** The `g/` row that only proves an operation which leaves no other row. */
export function proofRow(step: Pick<WriteStep, 'op' | 'nowMicros'>, space: SpaceId): Put {
  const value = GarbageRow.encode({
    kind: 'nothing',
    op: step.op,
    droppedMicros: step.nowMicros,
    space,
    key: '',
    references: [],
    hasReferences: false,
    freed: false,
    listedParts: [],
  })
  return { key: garbageKey(step.nowMicros, step.op), value }
}
