/**
 * Complete: one commit, whatever the number of parts. It writes the version, brings the upload from frozen to
 * completed, and leaves a `g/` row for what the worker then removes. It compares the upload's row, frozen by this
 * very operation, so that no part can have changed since the operation began to read them.
 */
import { CairnError, type CompletedUpload, type CompleteUploadRequest } from '@cairn/protocol'
import { type ObjectWorld, type WriteAttempts, writeKey } from '../attempts/objects-attempts.js'
import type { WriterClaim } from '../attempts/writer-guard.js'
import { olderNullOf } from '../namespace/objects-state.js'
import { currentKey, uploadKey } from '../rows/keys.js'
import { formatVersionId, parseVersionId } from '../rows/keys-version-id.js'
import { type AppliedOperation, MapReference, type UploadRow } from '../rows/rows.js'
import { borrowRange } from '../rows/uploads-keys.js'
import { checkMap } from '../versions/map-check.js'
import { checkPreconditions, hasPreconditions } from '../versions/preconditions.js'
import { planVersionWrite } from '../versions/version-write.js'
import { dirtyPuts } from '../versions/version-write-extras.js'
import { hasBlocks } from '../versions/version-write-maps.js'
import {
  type KeyState,
  nextSeq,
  type PlannedVersion,
  storedVersion,
  type VersionContent,
} from '../versions/version-write-state.js'
import { cleanUpPut } from './uploads.js'
import {
  isStateOf,
  loadUpload,
  noSuchUpload,
  type StoredUpload,
  storedUpload,
  uploadCompare,
  uploadPut,
} from './uploads-state.js'

/**
 * Part checksums kept in a version's row: all of 10,000 parts but in SHA-512, of which 8,750. A commit may hold two
 * such rows (the new version and the one it moves to `v/`) beside their part lists, and must stay below 1.5 MiB.
 */
export const PART_CHECKSUMS_BYTES_MAX = 560_000

/** Maps that one upload may borrow: as many as it has parts. */
const BORROWED_MAPS_MAX = 10_000

/**
 * Makes the object of a frozen upload. A repeat gives the first result, also by another operation with the same
 * list. `NoSuchUpload`, `ConditionalConflict` if another operation has taken the freeze over, `SessionExpired`,
 * `StaleClusterMap`, failed preconditions.
 */
export async function completeUpload(
  world: ObjectWorld,
  request: CompleteUploadRequest,
): Promise<CompletedUpload> {
  if (request.parts.length === 0) throw new CairnError('InvalidArgument', 'an object has at least one part')
  checkMap(request.map, request.sizeBytes)
  const { place } = await loadUpload(world, request).catch(async (error: unknown) => {
    const place = await placeOfRepeat(world, request)
    if (place === undefined) throw error
    return { place }
  })
  return world.locks.run(currentKey(place.space, place.key), () => writeKey(world, attempts(world, request)))
}

/** A repeat that comes after the upload's row is gone may still be known to this service. */
async function placeOfRepeat(
  world: ObjectWorld,
  { bucket, key, context }: CompleteUploadRequest,
): Promise<StoredUpload['place'] | undefined> {
  if (world.applied.find(context.op) === undefined) return undefined
  return { space: (await world.resolver.bucket(bucket)).row.space, key }
}

type Attempts = WriteAttempts<PlannedVersion, CompletedUpload>

function attempts(world: ObjectWorld, request: CompleteUploadRequest): Attempts {
  const { context } = request
  const claim = claimOf(request)
  let upload: StoredUpload | undefined
  return {
    op: context.op,
    hasPreconditions: hasPreconditions(request.preconditions),
    traceIn: () => 'own',
    async load() {
      const read = await loadKey(world, request)
      upload = read.upload
      return read.state
    },
    repeat: (applied, state) => resultOf(request, versionIdOf(state, applied)),
    explain: async (refused) =>
      world.guard.explain(claim, await world.guard.compares(claim), refused.slice(2)),
    async plan(state) {
      if (upload === undefined) throw noSuchUpload(request.uploadId)
      if (upload.row.state === 'completed') return { done: earlierResult(upload.row, request) }
      checkFrozen(upload.row, request)
      checkPreconditions(request.preconditions, state.current?.version)
      return { plan: await planCompletion(world, { request, claim, state, upload }) }
    },
    result: ({ version }, state) => resultOf(request, versionIdOf(state, version)),
  }
}

/** Only pages are written by Complete itself; the parts' blocks were fenced by their own commits. */
function claimOf({ context, map }: CompleteUploadRequest): WriterClaim {
  const { session, poolEpoch } = context
  return map.pages.length > 0 ? { session, pool: { id: map.pool, epoch: poolEpoch } } : { session }
}

interface KeyRead {
  readonly state: KeyState
  readonly upload: StoredUpload | undefined
}

async function loadKey(world: ObjectWorld, request: CompleteUploadRequest): Promise<KeyRead> {
  const { bucket: name, key, uploadId } = request
  const stamp = parseVersionId(uploadId)
  if (stamp === undefined) throw noSuchUpload(uploadId)
  const { bucket, results } = await world.resolver.read(name, (space) => [
    { kind: 'get', key: currentKey(space, key) },
    { kind: 'get', key: uploadKey(space, key, stamp.seq, stamp.op) },
  ])
  const state = { bucket, key, current: storedVersion(results[0]?.[0]) }
  const row = results[1]?.[0]
  if (row === undefined) return { state, upload: undefined }
  return { state, upload: storedUpload(bucket, row) }
}

function checkFrozen(row: UploadRow, { uploadId, context }: CompleteUploadRequest): void {
  if (row.state === 'aborted') throw noSuchUpload(uploadId)
  if (row.state !== 'frozen' || !isStateOf(row, context.op)) {
    throw new CairnError('ConditionalConflict', 'another operation has taken the upload over')
  }
}

/** An upload that was completed with another list is gone for this request. */
function earlierResult(
  { completed }: UploadRow,
  { listHash, uploadId }: CompleteUploadRequest,
): CompletedUpload {
  if (completed === undefined || completed.listHash !== listHash) throw noSuchUpload(uploadId)
  return completed
}

interface Completion extends KeyRead {
  readonly request: CompleteUploadRequest
  readonly claim: WriterClaim
  readonly upload: StoredUpload
}

async function planCompletion(
  world: ObjectWorld,
  { request, claim, state, upload }: Completion,
): Promise<PlannedVersion> {
  const { context, map, parts } = request
  if (world.evidence !== undefined) await world.evidence.complete(request, upload)
  const nowMicros = world.clock.wallMicros()
  const step = { kind: 'complete', op: context.op, nowMicros } as const
  const stamp = { seq: nextSeq(state.current, nowMicros), op: context.op }
  const completed: UploadRow = {
    ...upload.row,
    state: 'completed',
    stateOp: context.op,
    endedMicros: nowMicros,
    completed: resultOf(request, versionIdOf(state, stamp)),
  }
  return planVersionWrite(state, step, contentOf(request, upload, await borrowedMaps(world, upload)), {
    compares: [...(await world.guard.compares(claim)), uploadCompare(upload)],
    puts: [
      uploadPut(upload, completed),
      cleanUpPut(upload, nowMicros, { listedParts: parts, map }),
      ...dirtyPuts(map.pool, context.dirtyGroups, step),
    ],
    ...(await olderNullOf(world, state)),
  })
}

/**
 * The `r/` rows that the part copies of this upload made; from now on the version holds them. ● Asked of the store
 * itself: one that is missed makes the blocks of a living source die with this version.
 */
async function borrowedMaps(world: ObjectWorld, { row }: StoredUpload): Promise<MapReference[]> {
  const { results } = await world.store.readAuthority([
    { kind: 'scan', range: borrowRange(row.op), limit: BORROWED_MAPS_MAX },
  ])
  return (results[0] ?? []).map(({ value }) => MapReference.decode(value))
}

function contentOf(
  request: CompleteUploadRequest,
  { row }: StoredUpload,
  references: readonly MapReference[],
): VersionContent {
  const { sizeBytes, etag, checksum, map, parts, partChecksums } = request
  return {
    deleteMarker: false,
    sizeBytes,
    etag,
    owner: row.owner,
    attributes: row.attributes,
    parts,
    references,
    map,
    ...(hasBlocks(map) ? { mapId: row.op } : {}),
    ...(checksum === undefined ? {} : { checksum }),
    ...(keepsPartChecksums(partChecksums) ? { partChecksums } : {}),
  }
}

/** Too many for a row are left out: a reader then computes what it is asked for, or answers without. */
function keepsPartChecksums(partChecksums: Uint8Array | undefined): partChecksums is Uint8Array {
  return partChecksums !== undefined && partChecksums.length <= PART_CHECKSUMS_BYTES_MAX
}

/** Only a bucket with versioning shows the id of the version that Complete makes. */
function versionIdOf(state: KeyState, stamp: Pick<AppliedOperation, 'seq' | 'op'>): string | undefined {
  return state.bucket.row.versioning === 'enabled' ? formatVersionId(stamp) : undefined
}

function resultOf(request: CompleteUploadRequest, versionId: string | undefined): CompletedUpload {
  const { etag, checksum, listHash, sizeBytes } = request
  return {
    etag,
    listHash,
    sizeBytes,
    ...(versionId === undefined ? {} : { versionId }),
    ...(checksum === undefined ? {} : { checksum }),
  }
}
