/**
 * Copies by reference: the new version names the source's blocks and takes `r/` rows for their maps in the commit
 * that compares the source's row. So the maps are live when it is applied, and stay so.
 */
import {
  CairnError,
  type CopyObjectRequest,
  type CopyObjectResponse,
  type ObjectSource,
  sameBytes,
} from '@cairn/protocol'
import type { Compare } from '../../ports.js'
import { type ObjectWorld, type WriteAttempts, writeKey } from '../attempts/objects-attempts.js'
import { createWriter } from '../attempts/objects-writer.js'
import { currentKey } from '../rows/keys.js'
import { NULL_VERSION_ID, versionIdBytes } from '../rows/keys-version-id.js'
import {
  checkPreconditions,
  checkSource,
  hasPreconditions,
  noSuchKey,
  shownVersionId,
} from '../versions/preconditions.js'
import { checkKey, resolve } from '../versions/resolve.js'
import { planVersionWrite } from '../versions/version-write.js'
import { borrowMaps, hasBlocks, type KeyPlace } from '../versions/version-write-maps.js'
import {
  type KeyState,
  nextSeq,
  type PlannedVersion,
  type VersionContent,
} from '../versions/version-write-state.js'
import { type FoundVersion, readKey } from '../versions/versions.js'
import { olderNullOf, readState, writtenAt, writtenId } from './objects-state.js'

/** A version to copy from, where it stands, and whether its bucket shows version ids. */
export interface FoundSource {
  readonly found: FoundVersion
  readonly place: KeyPlace
  readonly sourceVersionId?: string
  /** Holds as long as the version stands where it was found. */
  readonly compare: Compare
}

/**
 * The source of a copy: `NoSuchBucket`, `NoSuchKey`, `NoSuchVersion`, `VersionIsDeleteMarker`, and
 * `PreconditionFailed` if it has changed since the caller looked at it.
 */
export async function findSource(
  world: Pick<ObjectWorld, 'resolver'>,
  source: ObjectSource,
): Promise<FoundSource> {
  const { state, found } = await readKey(world.resolver, source.bucket, source.key, source.versionId)
  if (found === undefined || found.version.deleteMarker) throw noSource(source, found)
  checkSource(found.version, source)
  const { row, version } = found
  const isVersioned = state.bucket.row.versioning !== 'unset'
  return {
    found,
    place: resolve(state.bucket, source.key),
    compare: { kind: 'revision', key: row.key, revision: row.revision },
    ...(isVersioned ? { sourceVersionId: shownVersionId(version) } : {}),
  }
}

/** Errors as for the source and for a put. `MessageTooLarge` if the source is made of too many borrowed maps. */
export async function copyObject(
  world: ObjectWorld,
  request: CopyObjectRequest,
): Promise<CopyObjectResponse> {
  checkKey(request.key)
  checkKey(request.source.key)
  const { row } = (await world.resolver.read(request.bucket, () => [])).bucket
  const lock = currentKey(row.space, request.key)
  return world.locks.run(lock, () => writeKey(world, copyAttempts(world, request)))
}

interface PlannedCopy extends PlannedVersion {
  readonly sourceVersionId: string | undefined
}

function copyAttempts(
  world: ObjectWorld,
  request: CopyObjectRequest,
): WriteAttempts<PlannedCopy, CopyObjectResponse> {
  const { bucket, key, context, preconditions } = request
  const writer = createWriter(world, { session: context.session })
  return {
    op: context.op,
    hasPreconditions: hasPreconditions(preconditions),
    load: () => readState(world, bucket, key),
    explain: (refused) => writer.explain(refused),
    repeat: (applied, state) => ({
      ...repeatedSource(request),
      ...writtenId(applied, state),
      modifiedMs: writtenAt(applied, state),
      ...repeatedContent(request, state),
    }),
    async plan(state) {
      checkPreconditions(preconditions, state.current?.version)
      const compares = await writer.compares()
      return { plan: await planCopy(world, request, state, compares) }
    },
    result: ({ version, sourceVersionId }, state) => ({
      ...writtenId(version, state),
      ...(sourceVersionId === undefined ? {} : { sourceVersionId }),
      modifiedMs: version.modifiedMs,
      etag: version.etag,
      ...(version.checksum === undefined ? {} : { checksum: version.checksum }),
    }),
  }
}

async function planCopy(
  world: ObjectWorld,
  request: CopyObjectRequest,
  state: KeyState,
  writerCompares: readonly Compare[],
): Promise<PlannedCopy> {
  const source = await findSource(world, request.source)
  const step = { kind: 'copy', op: request.context.op, nowMicros: world.clock.wallMicros() } as const
  const referrer = versionIdBytes({ seq: nextSeq(state.current, step.nowMicros), op: step.op })
  const plan = planVersionWrite(state, step, contentOf(request, source, referrer), {
    compares: [...writerCompares, ...sourceCompares(source, state)],
    ...(await olderNullOf(world, state)),
  })
  return { ...plan, sourceVersionId: source.sourceVersionId }
}

/** The current row of the same key is compared already, at the revision of the state. */
function sourceCompares({ found, compare, place }: FoundSource, state: KeyState): Compare[] {
  const isSameRow =
    found.isCurrent && place.key === state.key && sameBytes(place.space, state.bucket.row.space)
  if (isSameRow && state.current?.revision === found.row.revision) return []
  return [compare]
}

function contentOf(
  { owner, attributes, checksum, etag }: CopyObjectRequest,
  { found, place }: FoundSource,
  referrer: Uint8Array,
): VersionContent {
  const { version } = found
  const kept = checksum ?? version.checksum
  const keepsParts = etag === undefined && checksum === undefined
  return {
    deleteMarker: false,
    sizeBytes: version.sizeBytes,
    etag: etag ?? version.etag,
    owner,
    attributes: attributes ?? version.attributes,
    parts: etag === undefined ? version.parts : [],
    references: borrowMaps(version, place, referrer),
    ...(version.map === undefined ? {} : { map: version.map }),
    ...(version.mapId !== undefined && hasBlocks(version.map) ? { mapId: version.mapId } : {}),
    ...(kept === undefined ? {} : { checksum: kept }),
    ...(keepsParts && version.partChecksums !== undefined ? { partChecksums: version.partChecksums } : {}),
  }
}

function noSource(source: ObjectSource, found: FoundVersion | undefined): CairnError {
  if (source.versionId === undefined) return noSuchKey(found?.version)
  const details = { versionId: source.versionId }
  if (found === undefined) return new CairnError('NoSuchVersion', 'no such source version', { details })
  return new CairnError('VersionIsDeleteMarker', 'the source is a delete marker', { details })
}

function repeatedSource({ source }: CopyObjectRequest): { sourceVersionId?: string } {
  const { versionId } = source
  return versionId === undefined || versionId === NULL_VERSION_ID ? {} : { sourceVersionId: versionId }
}

function repeatedContent(
  request: CopyObjectRequest,
  { current }: KeyState,
): Pick<CopyObjectResponse, 'etag' | 'checksum'> {
  const version = current?.version
  const isCurrent = version !== undefined && sameBytes(version.op, request.context.op)
  const checksum = isCurrent ? version.checksum : request.checksum
  return { etag: request.etag ?? request.source.etag, ...(checksum === undefined ? {} : { checksum }) }
}
