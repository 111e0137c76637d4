/**
 * Multipart uploads: initiation, and the states `open → frozen → completed | aborted`.
 *
 * ● Every PutPart compares the upload's row, and every change of state rewrites it: once an upload is frozen its
 * parts stand still, and only the operation that froze it last can complete it. A crash in between leaves it
 * frozen; the next Complete takes the freeze over, Abort ends it, Thaw opens it again. What a completed or aborted
 * upload leaves is removed by a worker, which finds a `g/` row.
 */
import {
  type AbortUploadRequest,
  CairnError,
  type CreateUploadRequest,
  type FreezeUploadRequest,
  type FreezeUploadResponse,
  type GetUploadResponse,
  sameBytes,
  type UploadInfo,
  type UploadRequest,
} from '@cairn/protocol'
import type { Put } from '../../ports.js'
import type { ObjectWorld } from '../attempts/objects-attempts.js'
import { bucketKey, garbageKey, uploadKey } from '../rows/keys.js'
import { FORMER_FREEZES_MAX, GarbageRow, UploadRow } from '../rows/rows.js'
import { InitiationRow, initiationKey } from '../rows/uploads-keys.js'
import { checkKey } from '../versions/resolve.js'
import {
  isLive,
  isStateOf,
  loadLiveUpload,
  loadUpload,
  noSuchUpload,
  type StoredUpload,
  type StoredUploadRow,
  showUpload,
  stateProof,
  UPLOAD_ATTEMPTS_MAX,
  uploadCompare,
  uploadPut,
} from './uploads-state.js'

/** Initiates an upload. A repeat with the same op gives the same upload. `NoSuchBucket`. */
export async function createUpload(world: ObjectWorld, request: CreateUploadRequest): Promise<UploadInfo> {
  checkKey(request.key)
  const { store, clock, resolver } = world
  const proofKey = initiationKey(request.op)
  for (let attempt = 0; attempt < UPLOAD_ATTEMPTS_MAX; attempt++) {
    const { bucket, results } = await resolver.read(request.bucket, () => [{ kind: 'get', key: proofKey }])
    const initiation = results[0]?.[0]
    const { space } = bucket.row
    const initiatedMicros =
      initiation === undefined ? clock.wallMicros() : InitiationRow.decode(initiation.value).initiatedMicros
    const row = newUpload(request, initiatedMicros)
    const key = uploadKey(space, request.key, initiatedMicros, request.op)
    const put: Put = { key, value: UploadRow.encode(row) }
    const info = showUpload({ ...put, revision: 0, created: 0 }, row)
    if (initiation !== undefined) return info
    const result = await store.commit({
      compares: [
        { kind: 'revision', key: bucketKey(request.bucket), revision: bucket.revision },
        { kind: 'absent', key: proofKey },
      ],
      puts: [put, { key: proofKey, value: InitiationRow.encode({ initiatedMicros }) }],
      proof: { keys: [key], carries: (rows) => rows[0] !== undefined },
    })
    if (result.committed) return info
  }
  throw new CairnError('Busy', 'the bucket keeps changing')
}

function newUpload(request: CreateUploadRequest, initiatedMicros: number): UploadRow {
  const { op, bucket, owner, attributes, checksumAlgorithm, checksumType } = request
  return {
    op,
    bucket,
    initiatedMs: Math.floor(initiatedMicros / 1000),
    owner,
    attributes,
    state: 'open',
    formerFreezes: [],
    ...(checksumAlgorithm === undefined ? {} : { checksumAlgorithm }),
    ...(checksumType === undefined ? {} : { checksumType }),
  }
}

/** An upload that is not completed or aborted. */
export async function getUpload(world: ObjectWorld, request: UploadRequest): Promise<GetUploadResponse> {
  const { info, place } = await loadLiveUpload(world, request)
  return { upload: info, space: place.space }
}

/**
 * First step of Complete: see `FreezeUploadRequest`. `ConditionalConflict` once the operation's freeze was thawed or
 * taken over: it may have read parts that have been replaced since, so it must never hold the upload again.
 */
export async function freezeUpload(
  world: ObjectWorld,
  request: FreezeUploadRequest,
): Promise<FreezeUploadResponse> {
  const frozen = await changeUpload(world, request, ({ row }) => {
    if (row.state === 'completed' || isFormerFreeze(row, request.op)) return undefined
    if (row.state === 'frozen' && isStateOf(row, request.op)) return undefined
    const former = row.state === 'frozen' ? endFreeze(row) : row
    return { row: { ...former, state: 'frozen', stateOp: request.op } }
  })
  const { info, place, row } = frozen
  if (row.state === 'aborted') throw noSuchUpload(request.uploadId)
  if (row.state !== 'completed' && isFormerFreeze(row, request.op)) {
    throw new CairnError('ConditionalConflict', 'the freeze of this operation has ended')
  }
  const { completed } = row
  return { upload: info, space: place.space, ...(completed === undefined ? {} : { completed }) }
}

/** Gives a freeze up, so that parts can change again; nothing if another operation has taken it over. */
export async function thawUpload(world: ObjectWorld, request: FreezeUploadRequest): Promise<void> {
  await changeUpload(world, request, ({ row }) => {
    if (row.state !== 'frozen' || !isStateOf(row, request.op)) return undefined
    return { row: { ...endFreeze(row), state: 'open' } }
  })
}

function isFormerFreeze({ formerFreezes }: UploadRow, op: UploadRow['op']): boolean {
  return formerFreezes.some((former) => sameBytes(former, op))
}

function endFreeze(row: UploadRow): UploadRow {
  if (row.stateOp === undefined) return row
  return { ...row, formerFreezes: [...row.formerFreezes, row.stateOp].slice(-FORMER_FREEZES_MAX) }
}

/** Ends an upload; a worker frees its parts. `NoSuchUpload` if it is completed, or aborted by another operation. */
export async function abortUpload(world: ObjectWorld, request: AbortUploadRequest): Promise<void> {
  const { row } = await changeUpload(world, request, (upload) =>
    isLive(upload.row) ? planAbort(upload, request.op, world.clock.wallMicros()) : undefined,
  )
  if (row.state !== 'aborted' || !isStateOf(row, request.op)) throw noSuchUpload(request.uploadId)
}

/** What an abort by `op` writes: the row's last state, and the clean-up. */
export function planAbort(upload: StoredUploadRow, op: UploadRow['op'], nowMicros: number): UploadChange {
  return {
    row: { ...upload.row, state: 'aborted', stateOp: op, endedMicros: nowMicros },
    puts: [cleanUpPut(upload, nowMicros)],
  }
}

/**
 * The `g/` row that lets the worker remove what an ended upload leaves. `ended` has the numbers of the parts that
 * the object uses and its map: whose pages are in use.
 */
export function cleanUpPut(
  { row, place }: StoredUploadRow,
  nowMicros: number,
  ended: Partial<Pick<GarbageRow, 'listedParts' | 'map'>> = {},
): Put {
  const value = GarbageRow.encode({
    kind: 'parts',
    op: row.op,
    droppedMicros: nowMicros,
    space: place.space,
    key: place.key,
    mapId: row.op,
    references: [],
    hasReferences: false,
    freed: false,
    listedParts: [],
    ...ended,
  })
  return { key: garbageKey(nowMicros, row.op), value }
}

/** The next state of an upload, with rows of the same commit. */
export interface UploadChange {
  readonly row: UploadRow
  readonly puts?: readonly Put[]
}

/** Changes the state of an upload, or leaves it where `decide` gives nothing; the upload as it is then. */
async function changeUpload(
  world: ObjectWorld,
  request: UploadRequest,
  decide: (upload: StoredUpload) => UploadChange | undefined,
): Promise<StoredUpload> {
  for (let attempt = 0; attempt < UPLOAD_ATTEMPTS_MAX; attempt++) {
    const upload = await loadUpload(world, request)
    if (upload.row.state === 'aborted') return upload
    const change = decide(upload)
    if (change === undefined) return upload
    const result = await world.store.commit({
      compares: [uploadCompare(upload)],
      puts: [uploadPut(upload, change.row), ...(change.puts ?? [])],
      proof: stateProof(upload, change.row),
    })
    if (result.committed) return { ...upload, row: change.row }
  }
  throw new CairnError('Busy', 'the upload keeps changing')
}
