/**
 * Deletes: without a version id the object goes, or a delete marker covers it; with one that version goes for good
 * and exposes the one before. Keys of a batch are read together and their commits share the store's entries.
 */
import {
  CairnError,
  type DeleteItem,
  type DeleteObjectsRequest,
  type DeleteObjectsResponse,
  type DeleteOutcome,
  LIST_PAGE_MAX,
  toCairnError,
} from '@cairn/protocol'
import {
  type ObjectWorld,
  stateOfRefusal,
  type WriteAttempts,
  writeKey,
} from '../attempts/objects-attempts.js'
import { currentKey } from '../rows/keys.js'
import type { AppliedOperation, VersionRow } from '../rows/rows.js'
import { checkPreconditions, hasPreconditions, shownVersionId } from '../versions/preconditions.js'
import { checkKey, resolve } from '../versions/resolve.js'
import { planVersionRemoval, planVersionWrite, type VersionRemoval } from '../versions/version-write.js'
import {
  type KeyState,
  type PlannedCommit,
  type StoredBucket,
  storedVersion,
  type VersionContent,
  type WriteStep,
} from '../versions/version-write-state.js'
import { type FoundVersion, findNewestOlder, readKey } from '../versions/versions.js'
import { olderNullOf } from './objects-state.js'

/** Keys read with one request of the store, and deleted at once. */
const DELETE_BATCH_MAX = 100

/** `NoSuchBucket` and `InvalidArgument` (too many items) for the whole; everything else stands in the outcomes. */
export async function deleteObjects(
  world: ObjectWorld,
  request: DeleteObjectsRequest,
): Promise<DeleteObjectsResponse> {
  if (request.items.length > LIST_PAGE_MAX) {
    throw new CairnError('InvalidArgument', `more than ${LIST_PAGE_MAX} items`)
  }
  const outcomes: DeleteOutcome[] = []
  for (let at = 0; at < request.items.length; at += DELETE_BATCH_MAX) {
    const items = request.items.slice(at, at + DELETE_BATCH_MAX)
    outcomes.push(...(await deleteBatch(world, request, items)))
  }
  return { outcomes }
}

async function deleteBatch(
  world: ObjectWorld,
  { bucket: name, owner }: DeleteObjectsRequest,
  items: readonly DeleteItem[],
): Promise<DeleteOutcome[]> {
  const { bucket, results } = await world.resolver.read(name, (space) =>
    items.map(({ key }) => ({ kind: 'get', key: currentKey(space, key) })),
  )
  const running = items.map(async (item, at) => {
    const state = { bucket, key: item.key, current: storedVersion(results[at]?.[0]) }
    try {
      return await deleteOne(world, { item, owner, state })
    } catch (error) {
      const { code, message, details } = toCairnError(error)
      const failure = { deleteMarker: false, errorCode: code, errorMessage: message }
      return details.settled === 'never' ? { ...failure, neverSettled: true } : failure
    }
  })
  return Promise.all(running)
}

interface Deletion {
  readonly item: DeleteItem
  readonly owner: string
  /** As it was read with the whole batch. */
  readonly state: KeyState
}

async function deleteOne(world: ObjectWorld, deletion: Deletion): Promise<DeleteOutcome> {
  const { item, state } = deletion
  checkKey(item.key)
  const row = currentKey(state.bucket.row.space, item.key)
  return world.locks.run(row, () =>
    item.versionId === undefined
      ? writeKey(world, coverAttempts(world, deletion))
      : writeKey(world, removalAttempts(world, deletion, item.versionId)),
  )
}

/** The outcome of a delete that finds nothing. */
const NOTHING: DeleteOutcome = { deleteMarker: false }

type DeleteAttempts = WriteAttempts<PlannedCommit, DeleteOutcome>

/** The current object goes in a bucket that was never versioned; else a marker is written. */
function coverAttempts(world: ObjectWorld, { item, owner, state: first }: Deletion): DeleteAttempts {
  const { key, op, preconditions } = item
  return {
    op,
    hasPreconditions: hasPreconditions(preconditions),
    nothing: NOTHING,
    traceIn: ({ bucket }) => (bucket.row.versioning === 'unset' ? 'removal' : 'write'),
    load: (refused) => (refused === undefined ? first : stateOfRefusal(first.bucket.name, key, refused)),
    repeat: coverOutcome,
    async plan(state) {
      const target = state.current?.version
      checkPreconditions(preconditions, target)
      // Where that is fine: a marker would hide nothing, and stand in the way of the next condition.
      if (target === undefined && hasPreconditions(preconditions)) return { done: NOTHING }
      const nowMicros = world.clock.wallMicros()
      if (state.bucket.row.versioning === 'unset') {
        if (target === undefined) return { done: NOTHING }
        const step = { kind: 'delete', op, nowMicros } as const
        return { plan: planVersionRemoval(state, step, { target, isCurrent: true }) }
      }
      const step = { kind: 'marker', op, nowMicros } as const
      const extras = await olderNullOf(world, state)
      return { plan: planVersionWrite(state, step, markerContent(owner), extras) }
    },
    result: ({ applied }, state) => coverOutcome(applied, state),
  }
}

function coverOutcome(applied: AppliedOperation, { bucket }: KeyState): DeleteOutcome {
  if (bucket.row.versioning === 'unset') return { deleteMarker: false }
  return { deleteMarker: applied.deleteMarker, versionId: shownVersionId(applied) }
}

function markerContent(owner: string): VersionContent {
  return {
    deleteMarker: true,
    sizeBytes: 0,
    etag: '',
    owner,
    attributes: {},
    parts: [],
    references: [],
  }
}

/** One version goes for good. */
function removalAttempts(
  world: ObjectWorld,
  { item, state: first }: Deletion,
  versionId: string,
): DeleteAttempts {
  const { key, op, preconditions } = item
  let found: FoundVersion | undefined
  return {
    op,
    hasPreconditions: hasPreconditions(preconditions),
    nothing: NOTHING,
    traceIn: () => 'removal',
    async load() {
      const read = await readKey(world.resolver, first.bucket.name, key, versionId)
      found = read.found
      return requireSameBucket(read.state, first.bucket)
    },
    repeat: ({ deleteMarker }) => ({ deleteMarker, versionId }),
    async plan(state) {
      checkPreconditions(preconditions, found?.version)
      if (found === undefined) return { done: NOTHING }
      const step: WriteStep = { kind: 'delete', op, nowMicros: world.clock.wallMicros() }
      return { plan: planVersionRemoval(state, step, await removalOf(world, state, found)) }
    },
    result: ({ applied }) => ({ deleteMarker: applied.deleteMarker, versionId }),
  }
}

async function removalOf(
  world: ObjectWorld,
  state: KeyState,
  { version: target, isCurrent }: FoundVersion,
): Promise<VersionRemoval> {
  if (!isCurrent) return { target, isCurrent }
  const next: VersionRow | undefined = (await findNewestOlder(world.store, resolve(state.bucket, state.key)))
    ?.version
  return next === undefined ? { target, isCurrent } : { target, isCurrent, next }
}

/** A bucket made anew under the same name while the batch ran is not the one that was asked for. */
function requireSameBucket(state: KeyState, bucket: StoredBucket): KeyState {
  if (Buffer.compare(state.bucket.row.space, bucket.row.space) === 0) return state
  throw new CairnError('NoSuchBucket', `bucket ${bucket.name} was made anew`)
}
