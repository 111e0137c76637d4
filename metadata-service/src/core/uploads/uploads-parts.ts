/**
 * Parts of an upload. The part that commits last wins its number; what it replaces goes to a `g/` row in the same
 * commit, and stays named as replaced, so that a repeated PutPart never brings back a part whose blocks are freed.
 */
import {
  CairnError,
  type OpId,
  PART_NUMBER_MAX,
  type PartInfo,
  type PutPartRequest,
  sameBytes,
} from '@cairn/protocol'
import type { Compare, Put, StoreKey, StoreRow } from '../../ports.js'
import type { ObjectWorld } from '../attempts/objects-attempts.js'
import type { WriterClaim } from '../attempts/writer-guard.js'
import { garbageKey, partKey } from '../rows/keys.js'
import { GarbageRow, type MapReference, PartRow } from '../rows/rows.js'
import { replacedPartKey } from '../rows/uploads-keys.js'
import { checkMap } from '../versions/map-check.js'
import { dirtyPuts } from '../versions/version-write-extras.js'
import { hasBlocks } from '../versions/version-write-maps.js'
import { loadSource } from './uploads-part-copy.js'
import {
  loadUpload,
  noSuchUpload,
  type StoredUpload,
  UPLOAD_ATTEMPTS_MAX,
  uploadCompare,
} from './uploads-state.js'

/** Stores a part. `NoSuchUpload` once the upload is frozen, `SessionExpired`, `StaleClusterMap`. */
export async function putPart(world: ObjectWorld, request: PutPartRequest): Promise<PartInfo> {
  const { partNumber, context } = request
  if (partNumber < 1 || partNumber > PART_NUMBER_MAX) {
    throw new CairnError('InvalidArgument', `a part number is 1 to ${PART_NUMBER_MAX}, not ${partNumber}`)
  }
  checkMap(request.map, request.sizeBytes)
  const claim = claimOf(request)
  for (let attempt = 0; attempt < UPLOAD_ATTEMPTS_MAX; attempt++) {
    const upload = await loadUpload(world, request, (_place, op) => [
      { kind: 'get', key: partKey(op, partNumber) },
      { kind: 'get', key: replacedPartKey(op, context.op) },
    ])
    const current = upload.results[0]?.[0]
    const first = firstResult(request, current, upload.results[1]?.[0])
    if (first !== undefined) return first
    if (upload.row.state !== 'open') throw noSuchUpload(request.uploadId)
    const part = await commitPart(world, { request, claim, upload, current })
    if (part !== undefined) return showPart(partNumber, part)
  }
  throw new CairnError('Busy', 'other writers of the part were faster')
}

/** A part as callers see it. */
export function showPart(partNumber: number, row: PartRow, withMap = false): PartInfo {
  const { sizeBytes, etag, modifiedMs, checksum, map } = row
  return {
    partNumber,
    sizeBytes,
    etag,
    modifiedMs,
    ...(checksum === undefined ? {} : { checksum }),
    ...(withMap ? { map } : {}),
  }
}

interface PartAttempt {
  readonly request: PutPartRequest
  readonly claim: WriterClaim
  readonly upload: StoredUpload
  /** The part that has this number now. */
  readonly current: StoreRow | undefined
}

/** Part copies write no blocks but the pages of their maps: without these only their session is fenced. */
function claimOf({ context, map, source }: PutPartRequest): WriterClaim {
  const { session, poolEpoch } = context
  const writesBlocks = map.pages.length > 0 || (source === undefined && hasBlocks(map))
  return writesBlocks ? { session, pool: { id: map.pool, epoch: poolEpoch } } : { session }
}

/** The result of this operation, if it has happened: its part may have been replaced since. */
function firstResult(
  request: PutPartRequest,
  current: StoreRow | undefined,
  replaced: StoreRow | undefined,
): PartInfo | undefined {
  if (replaced !== undefined) return showPart(request.partNumber, PartRow.decode(replaced.value))
  if (current === undefined) return undefined
  const part = PartRow.decode(current.value)
  return sameBytes(part.op, request.context.op) ? showPart(request.partNumber, part) : undefined
}

/** `undefined` if another commit came first; the claim's own errors are thrown. */
async function commitPart(world: ObjectWorld, attempt: PartAttempt): Promise<PartRow | undefined> {
  const { request, claim, upload, current } = attempt
  const nowMicros = world.clock.wallMicros()
  const fences = await world.guard.compares(claim)
  const source = await loadSource(world, request, upload)
  if (world.evidence !== undefined) await world.evidence.part(request, upload, source?.map)
  const part = newPart(request, nowMicros, source?.references ?? [])
  const key = partKey(upload.row.op, request.partNumber)
  const result = await world.store.commit({
    compares: [
      ...fences,
      uploadCompare(upload),
      current === undefined ? { kind: 'absent', key } : revisionOf(current),
      { kind: 'absent', key: replacedPartKey(upload.row.op, request.context.op) },
      ...(source?.compares ?? []),
    ],
    puts: [
      { key, value: PartRow.encode(part) },
      ...replacementPuts(upload, current, { op: part.op, nowMicros }),
      ...dirtyPuts(request.map.pool, request.context.dirtyGroups, { op: part.op, nowMicros }),
      ...(source?.puts ?? []),
    ],
    proof: partProof(key, replacedPartKey(upload.row.op, part.op), part.op),
  })
  if (result.committed) return part
  const error = await world.guard.explain(claim, fences, result.rows)
  if (error !== undefined) throw error
  return undefined
}

function newPart(request: PutPartRequest, nowMicros: number, references: readonly MapReference[]): PartRow {
  const { context, sizeBytes, etag, checksum, map } = request
  return {
    op: context.op,
    modifiedMs: Math.floor(nowMicros / 1000),
    sizeBytes,
    etag,
    map,
    references,
    ...(checksum === undefined ? {} : { checksum }),
  }
}

/** What a part that gives way leaves: its name, and its blocks unless they are borrowed. */
function replacementPuts(
  { row, place }: StoredUpload,
  current: StoreRow | undefined,
  step: { readonly op: OpId; readonly nowMicros: number },
): Put[] {
  if (current === undefined) return []
  const old = PartRow.decode(current.value)
  const name: Put = {
    key: replacedPartKey(row.op, old.op),
    value: PartRow.encode({ ...old, map: { pool: old.map.pool, slices: [], pages: [] } }),
  }
  if (old.references.length > 0 || !hasBlocks(old.map)) return [name]
  const value = GarbageRow.encode({
    kind: 'parts',
    op: step.op,
    droppedMicros: step.nowMicros,
    space: place.space,
    key: place.key,
    mapId: row.op,
    map: old.map,
    references: [],
    hasReferences: false,
    freed: false,
    listedParts: [],
  })
  return [name, { key: garbageKey(step.nowMicros, step.op), value }]
}

function partProof(
  key: StoreKey,
  replacedKey: StoreKey,
  op: OpId,
): {
  keys: StoreKey[]
  carries(rows: readonly (StoreRow | undefined)[]): boolean
} {
  return {
    keys: [key, replacedKey],
    carries: ([part, replaced]) =>
      replaced !== undefined || (part !== undefined && sameBytes(PartRow.decode(part.value).op, op)),
  }
}

function revisionOf(row: StoreRow): Compare {
  return { kind: 'revision', key: row.key, revision: row.revision }
}
