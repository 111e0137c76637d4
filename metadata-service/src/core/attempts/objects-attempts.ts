/**
 * Plans a commit on one key and applies it. A refused commit brings the rows that refused it, so that the next
 * plan starts from them without a read. Bounded: `ConditionalConflict` if the caller had preconditions, or else
 * `Busy`, says that nothing was written.
 */
import { CairnError, type Clock, hasCode, type OpId } from '@cairn/protocol'
import type { CommitResult, RowStore, StoreRow } from '../../ports.js'
import type { AppliedOperation } from '../rows/rows.js'
import { type Resolver, requireBucket } from '../versions/resolve.js'
import {
  findApplied,
  type KeyState,
  type PlannedCommit,
  storedVersion,
} from '../versions/version-write-state.js'
import type { KnownAttempt } from './attempt-fence.js'
import type { CommitEvidence } from './commit-evidence.js'
import type { KeyLocks } from './key-locks.js'
import type { AppliedOperations } from './objects-applied.js'
import type { RefusedOperations } from './objects-refused.js'
import { outcomeUnknown, type RepeatProofs, settleRepeat, type TraceKind } from './repeat-proofs.js'
import type { WriterGuard } from './writer-guard.js'

/** Attempts of one write. Writers of one key queue up in the service, so more than two are rare. */
const WRITE_ATTEMPTS_MAX = 16

/** What all operations on objects share. */
export interface ObjectWorld {
  readonly store: RowStore
  readonly clock: Clock
  readonly guard: WriterGuard
  readonly resolver: Resolver
  readonly locks: KeyLocks
  readonly applied: AppliedOperations
  readonly refused: RefusedOperations
  readonly proofs: RepeatProofs
  /** How the request came here, if it says so: see `attempt-fence.ts`. */
  readonly attempt?: KnownAttempt
  /** For writers that are not believed what they have stored. */
  readonly evidence?: CommitEvidence
}

/** The rows of a refused commit; its first two are those of bucket and key. */
export type RefusedRows = readonly (StoreRow | undefined)[]

/** One write, as its operation sees it. */
export interface WriteAttempts<Plan extends PlannedCommit, Result> {
  readonly op: OpId
  readonly hasPreconditions: boolean
  /** What the operation leaves where it finds such a state; `write` unless given. */
  traceIn?(state: KeyState): TraceKind
  /** The state to start from; `refused` after a failed attempt. */
  load(refused: RefusedRows | undefined): Promise<KeyState> | KeyState
  /** The first result of an operation that has happened already. */
  repeat(applied: AppliedOperation, state: KeyState): Result
  /** What `plan` gives as `done` when there is nothing to be done; repeats get it too. */
  readonly nothing?: Result
  /** Why the writer's own compares failed, if they did. */
  explain?(refused: RefusedRows): Promise<CairnError | undefined>
  /** `done` instead of a plan when nothing is to be written. */
  plan(state: KeyState): Promise<{ readonly plan: Plan } | { readonly done: Result }>
  result(plan: Plan, state: KeyState): Result
}

/** Runs attempts until one is applied. What it answers to an operation it answers to each repeat of it. */
export async function writeKey<Plan extends PlannedCommit, Result>(
  world: ObjectWorld,
  write: WriteAttempts<Plan, Result>,
): Promise<Result> {
  const { op, nothing } = write
  const route = world.attempt?.route
  const boundSince = await world.attempt?.boundSince()
  if (world.refused.find(op, boundSince) === 'nothing' && nothing !== undefined) return nothing
  try {
    const result = await attempt(world, write)
    if (result === nothing) world.refused.rememberNothing(op, route)
    return result
  } catch (error) {
    world.refused.rememberError(op, error, route)
    throw error
  }
}

async function attempt<Plan extends PlannedCommit, Result>(
  world: ObjectWorld,
  write: WriteAttempts<Plan, Result>,
): Promise<Result> {
  let refused: RefusedRows | undefined
  for (let attempt = 0; attempt < WRITE_ATTEMPTS_MAX; attempt++) {
    const state = await write.load(refused)
    const applied = await findFirst(world, write, state, refused === undefined)
    if (applied !== undefined) return write.repeat(applied, state)
    if (refused !== undefined) await throwExplained(write, refused)
    const planned = await write.plan(state)
    if ('done' in planned) return planned.done
    const result = await commitPlanned(world, write.op, planned.plan)
    if (result.committed) {
      world.applied.rememberCommit(planned.plan)
      return write.result(planned.plan, state)
    }
    refused = result.rows
  }
  throw new CairnError(write.hasPreconditions ? 'ConditionalConflict' : 'Busy', 'other writers were faster')
}

async function commitPlanned(
  { store, applied }: ObjectWorld,
  op: OpId,
  { commit }: PlannedCommit,
): Promise<CommitResult> {
  try {
    return await store.commit(commit)
  } catch (error) {
    if (hasCode(error, 'OutcomeUnknown')) applied.rememberUnknown(op)
    throw error
  }
}

/** What the operation has done already, as far as the key's row, this service or the garbage knows. */
async function findFirst<Plan extends PlannedCommit, Result>(
  { applied, attempt, proofs }: ObjectWorld,
  { op, traceIn }: WriteAttempts<Plan, Result>,
  state: KeyState,
  isFirstLook: boolean,
): Promise<AppliedOperation | undefined> {
  const known = findApplied(state.current?.version, op) ?? applied.find(op)
  // Whoever supersedes what it has done need not tell this service, and it may still happen.
  if (known === undefined && applied.isUnknown(op)) throw outcomeUnknown('its commit was lost')
  if (known !== undefined || attempt === undefined || !isFirstLook || !(await attempt.isForeign()))
    return known
  // The state was read after all attempts on earlier routes had ended: nothing can come in between any more.
  const trace = traceIn?.(state) ?? 'write'
  return settleRepeat(proofs, { op, sinceMicros: attempt.sinceMicros, trace }, state)
}

async function throwExplained<Plan extends PlannedCommit, Result>(
  write: WriteAttempts<Plan, Result>,
  refused: RefusedRows,
): Promise<void> {
  const error = await write.explain?.(refused)
  if (error !== undefined) throw error
}

/** The state that refused a commit. */
export function stateOfRefusal(bucket: string, key: string, rows: RefusedRows): KeyState {
  return { bucket: requireBucket(bucket, rows[0]), key, current: storedVersion(rows[1]) }
}
