/**
 * The usual put: by a writer that this service knows, to a key that nobody else is writing, and whose rows are at hand.
 * It is planned in the turn that asks; only the commit is waited for. The rows, compares and proofs are those of
 * `putObject`, which does all else: what has been tried before, what is refused, and what has to be waited for.
 */
import {
  type CairnError,
  type PutObjectRequest,
  type PutObjectResponse,
  sameBytes,
  sessionOf,
  toCairnError,
} from '@cairn/protocol'
import type { CommitResult, Compare } from '../../ports.js'
import { isOpId } from '../attempts/attempt-fence.js'
import type { ObjectWorld } from '../attempts/objects-attempts.js'
import { currentKey } from '../rows/keys.js'
import type { Sessions } from '../services/sessions.js'
import { checkMap } from '../versions/map-check.js'
import { checkPreconditions } from '../versions/preconditions.js'
import { checkKey } from '../versions/resolve.js'
import { planVersionWrite, replacedOlderNull } from '../versions/version-write.js'
import { dirtyPuts } from '../versions/version-write-extras.js'
import {
  findApplied,
  type KeyState,
  type PlannedVersion,
  storedVersion,
} from '../versions/version-write-state.js'
import { claimOf, contentOf, putResult, requireSpace } from './objects-put.js'

/** What a put is planned from and, if it comes to that, put in the ordinary way. */
export interface PutNowParts {
  readonly world: ObjectWorld
  readonly sessions: Sessions
  putObject(request: PutObjectRequest): Promise<PutObjectResponse>
}

/** False, or a throw, if it is not a usual put: nothing was begun. Else `settle` is called once. */
export function putObjectNow(
  parts: PutNowParts,
  request: PutObjectRequest,
  settle: (outcome: PutObjectResponse | CairnError) => void,
): boolean {
  const { world } = parts
  const fence = knownWriter(parts, request)
  if (fence === undefined) return false
  checkKey(request.key)
  checkMap(request.map, request.sizeBytes)
  const held = world.locks.tryEnter(currentKey(request.space, request.key))
  if (held === undefined) return false
  let work: { readonly planned: PlannedVersion; readonly state: KeyState } | undefined
  try {
    work = plan(world, request, fence)
  } finally {
    if (work === undefined) world.locks.leave(held)
  }
  if (work === undefined) return false
  const { planned, state } = work
  const finish = (outcome: CommitResult): void => {
    world.locks.leave(held)
    if (outcome.committed) {
      world.applied.rememberCommit(planned)
      settle(putResult(planned, state))
    } else parts.putObject(request).then(settle, (error: unknown) => settle(toCairnError(error)))
  }
  const fail = (error: unknown): void => {
    world.locks.leave(held)
    settle(toCairnError(error))
  }
  world.store.commit(planned.commit).then(finish, fail)
  return true
}

/** The compare of a writer's session, if this is its first attempt, and it came on the route bound to this run. */
function knownWriter({ world, sessions }: PutNowParts, request: PutObjectRequest): Compare | undefined {
  const { attempt, context } = request
  const { op, session } = context
  if (attempt === undefined || attempt.firstRoute !== undefined) return undefined
  if (!isOpId(op) || !sameBytes(sessionOf(op), session)) return undefined
  const known = sessions.knownRoute(session, attempt)
  if (known === undefined || world.applied.find(op) !== undefined) return undefined
  return world.refused.find(op, known.boundSince) === undefined ? known.compare : undefined
}

function plan(
  world: ObjectWorld,
  request: PutObjectRequest,
  fence: Compare,
): { readonly planned: PlannedVersion; readonly state: KeyState } | undefined {
  const { context, map, preconditions } = request
  const state = stateAtHand(world, request)
  if (state === undefined || findApplied(state.current?.version, context.op) !== undefined) return undefined
  if (replacedOlderNull(state) !== undefined) return undefined
  checkPreconditions(preconditions, state.current?.version)
  const compares = world.guard.comparesNow(claimOf(request, true))
  if (compares === undefined) return undefined
  compares.push(fence)
  const nowMicros = Math.max(world.clock.wallMicros(), request.attempt?.sinceMicros ?? 0)
  const step = { kind: 'put', op: context.op, nowMicros } as const
  const puts = dirtyPuts(map.pool, context.dirtyGroups, step)
  return { planned: planVersionWrite(state, step, contentOf(request), { compares, puts }), state }
}

function stateAtHand(
  { resolver }: ObjectWorld,
  { bucket: name, key, space }: PutObjectRequest,
): KeyState | undefined {
  const found = resolver.readNow(name, (known) => [{ kind: 'get', key: currentKey(known, key) }], space)
  if (found === undefined) return undefined
  const state = { bucket: found.bucket, key, current: storedVersion(found.results[0]?.[0]) }
  requireSpace(state, space)
  return state
}
