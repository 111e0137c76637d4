/** Finds versions of a key, and shows them as readers see them. */
import { CairnError, type ObjectVersion, type SpaceId, sameBytes } from '@cairn/protocol'
import type { Read, RowStore, StoreRow } from '../../ports.js'
import { currentKey, olderKey, olderRange } from '../rows/keys.js'
import { NULL_VERSION_ID, parseVersionId } from '../rows/keys-version-id.js'
import { type OlderPlace, VersionRow } from '../rows/rows.js'
import { shownVersionId } from './preconditions.js'
import type { Resolver } from './resolve.js'
import { RowMemory } from './row-memory.js'
import { birthplaceOf, type KeyPlace } from './version-write-maps.js'
import type { KeyState, StoredVersion } from './version-write-state.js'

/** A version, where it stands, and its row. */
export interface FoundVersion {
  readonly version: VersionRow
  readonly isCurrent: boolean
  readonly row: StoreRow
}

/** A bucket, the current row of a key in it, and the version asked for, all of one revision. */
export interface KeyRead {
  readonly state: KeyState
  /** The current version if none was asked for. */
  readonly found: FoundVersion | undefined
}

/** Reads that a null version which changes places at the same time may cost. */
const READS_MAX = 16

/**
 * Reads a key and one of its versions. `NoSuchBucket`; `InvalidArgument` for what can be no version id. The place
 * of a version follows from its id, that of an older null version from the current row.
 */
export async function readKey(
  resolver: Resolver,
  bucketName: string,
  key: string,
  versionId?: string,
): Promise<KeyRead> {
  const named = versionId === undefined ? undefined : namedPlace(versionId)
  let older: OlderPlace | undefined = named
  for (let attempt = 0; attempt < READS_MAX; attempt++) {
    const { bucket, results } = await resolver.read(bucketName, (space) => placeReads({ space, key }, older))
    const current = foundVersion(results[0]?.[0], true)
    const state: KeyState = { bucket, key, current: stored(current) }
    if (current === undefined || versionId === undefined || shownVersionId(current.version) === versionId) {
      return { state, found: current }
    }
    const wanted = named ?? current.version.olderNull
    if (wanted === undefined) return { state, found: undefined }
    if (older !== undefined && samePlace(older, wanted))
      return { state, found: olderNamed(results[1]?.[0], versionId) }
    older = wanted
  }
  throw new CairnError('Busy', 'the null version does not stay in its place')
}

/** Reads a key and its current version, if the store has both at hand; `undefined` if not, or if there is none. */
export function readCurrentNow(resolver: Resolver, bucketName: string, key: string): KeyRead | undefined {
  const read = resolver.readNow(bucketName, (space) => placeReads({ space, key }, undefined))
  const found = foundVersion(read?.results[0]?.[0], true)
  if (read === undefined || found === undefined) return undefined
  return { state: { bucket: read.bucket, key, current: stored(found) }, found }
}

/** The version at one place in `v/`. ● Whoever asks is about to replace it: asked of the store itself. */
export async function findOlder(
  store: Pick<RowStore, 'readAuthority'>,
  { space, key }: KeyPlace,
  { seq, op }: OlderPlace,
): Promise<FoundVersion | undefined> {
  const { results } = await store.readAuthority([{ kind: 'get', key: olderKey(space, key, seq, op) }])
  return foundVersion(results[0]?.[0], false)
}

/** The newest version in `v/`, as the store itself knows it: ● the one that a removal of the current one exposes. */
export async function findNewestOlder(
  store: Pick<RowStore, 'readAuthority'>,
  { space, key }: KeyPlace,
): Promise<FoundVersion | undefined> {
  const { results } = await store.readAuthority([{ kind: 'scan', range: olderRange(space, key), limit: 1 }])
  return foundVersion(results[0]?.[0], false)
}

/** A version with its block map, as a reader sees it. `space` is that of the map's birthplace. */
export function showVersion(version: VersionRow, place: KeyPlace, isLatest: boolean): ObjectVersion {
  const { modifiedMs, sizeBytes, etag, owner, attributes, parts, deleteMarker } = version
  const { checksum, map, mapId, partChecksums } = version
  const space: SpaceId = birthplaceOf(version, place).space
  return {
    key: place.key,
    versionId: shownVersionId(version),
    isLatest,
    deleteMarker,
    modifiedMs,
    sizeBytes,
    etag,
    owner,
    attributes,
    parts,
    space,
    ...(checksum === undefined ? {} : { checksum }),
    ...(map === undefined ? {} : { map }),
    ...(mapId === undefined ? {} : { mapId }),
    ...(partChecksums === undefined ? {} : { partChecksums }),
  }
}

/** `undefined` for `null`, whose place only the current row knows. */
function namedPlace(versionId: string): OlderPlace | undefined {
  const named = parseVersionId(versionId)
  if (named === undefined && versionId !== NULL_VERSION_ID) {
    const details = { argumentName: 'versionId', argumentValue: versionId.slice(0, 80) }
    throw new CairnError('InvalidArgument', 'Invalid version id specified', { details })
  }
  return named
}

function placeReads({ space, key }: KeyPlace, older: OlderPlace | undefined): Read[] {
  const reads: Read[] = [{ kind: 'get', key: currentKey(space, key) }]
  if (older !== undefined) reads.push({ kind: 'get', key: olderKey(space, key, older.seq, older.op) })
  return reads
}

const decoded = new RowMemory<VersionRow>()

function decodeVersion(value: Uint8Array): VersionRow {
  const known = decoded.find(value)
  if (known !== undefined) return known
  const version = VersionRow.decode(value)
  decoded.note(value, version)
  return version
}

function foundVersion(row: StoreRow | undefined, isCurrent: boolean): FoundVersion | undefined {
  return row === undefined ? undefined : { version: decodeVersion(row.value), isCurrent, row }
}

/** A null version is not found by its sequence number and op id. */
function olderNamed(row: StoreRow | undefined, versionId: string): FoundVersion | undefined {
  const found = foundVersion(row, false)
  return found !== undefined && shownVersionId(found.version) === versionId ? found : undefined
}

function stored(found: FoundVersion | undefined): StoredVersion | undefined {
  return found === undefined ? undefined : { version: found.version, revision: found.row.revision }
}

function samePlace(a: OlderPlace, b: OlderPlace): boolean {
  return a.seq === b.seq && sameBytes(a.op, b.op)
}
