/** A part made of a range of another version: its slices are referred to, its bytes are read once for the ETag. */
import {
  CairnError,
  type ChecksumAlgorithm,
  type GetObjectResponse,
  getObject,
  hasCode,
  type ObjectVersion,
  type PartInfo,
} from '@cairn/protocol'
import type { CopySource, Digests, ReadRange } from '../api.js'
import { MapBuilder, slicesInRange } from '../bodies/block-maps.js'
import { etagOf, RunningDigests } from '../bodies/body-digests.js'
import { assertInside, readRange } from '../bodies/range-reader.js'
import { HASH_BYTES_PER_TURN } from '../limits.js'
import type { ClientParts } from '../parts.js'
import { nextTurn } from '../waiting.js'
import { underSession } from './commit.js'
import {
  commitPart,
  type PartTarget,
  partAlgorithm,
  partChecksum,
  storePart,
  uploadScope,
} from './store-part.js'

/** What to copy. */
export interface PartSource {
  readonly source: CopySource
  /** All of the source if absent. */
  readonly range: ReadRange | undefined
  readonly signal: AbortSignal | undefined
}

export type CopiedPart = PartInfo & { readonly sourceVersionId?: string }

/** Attempts while the source is replaced by the same bytes in other blocks. */
const ATTEMPTS_MAX = 3

export async function copyPart(
  parts: ClientParts,
  target: PartTarget,
  source: PartSource,
): Promise<CopiedPart> {
  for (let attempt = 1; ; attempt++) {
    const found = await openSource(parts, source)
    try {
      const part = await copyFrom(parts, target, source, found.object)
      return found.versioning === 'unset' ? part : { ...part, sourceVersionId: found.object.versionId }
    } catch (error) {
      if (!hasCode(error, 'PreconditionFailed') || attempt >= ATTEMPTS_MAX) throw error
    }
  }
}

/** `PreconditionFailed` if the source is not the one that the caller saw. */
async function openSource(
  { metadata }: ClientParts,
  { source: { bucket, key, versionId, etag }, signal }: PartSource,
): Promise<GetObjectResponse> {
  const request = versionId === undefined ? { bucket, key } : { bucket, key, versionId }
  const found = await metadata.read(getObject, request, signal)
  if (found.object.etag !== etag) {
    throw new CairnError('PreconditionFailed', 'the source has changed', {
      details: { sourceChanged: 'true' },
    })
  }
  return found
}

async function copyFrom(
  parts: ClientParts,
  target: PartTarget,
  { source, range: asked, signal }: PartSource,
  object: ObjectVersion,
): Promise<PartInfo> {
  const { map, mapId } = object
  if (map === undefined) throw new CairnError('VersionIsDeleteMarker', 'a delete marker cannot be copied')
  const { sizeBytes } = object
  const range = asked ?? { offset: 0, length: sizeBytes }
  assertInside(range, sizeBytes)
  const bytes = (): AsyncIterable<Uint8Array> => readRange(parts, { map, sizeBytes, range }, signal)
  const { upload } = target.facts
  const algorithm = partAlgorithm(upload)
  const storeAnew = (): Promise<PartInfo> => {
    const options = signal === undefined ? {} : { signal }
    const seal = (digests: Digests) => partChecksum(upload, digests)
    return storePart(parts, target, bytes(), { ...options, digests: [algorithm], seal })
  }
  return underSession(parts, async (session) => {
    const scope = await uploadScope(parts, session, target, signal)
    if (map.pool !== scope.pool) return storeAnew()
    const digests = await digestRange(parts, bytes(), algorithm)
    const builder = new MapBuilder(parts, scope)
    for await (const slice of slicesInRange(parts, map, range, signal)) await builder.add(slice)
    const origin = mapId === undefined ? source : { ...source, mapId }
    const facts = { etag: etagOf(digests), source: origin, ...partChecksum(upload, digests) }
    try {
      return await commitPart(parts, scope, target, { builder, blocks: [], facts })
    } catch (error) {
      // The source is made of more objects than one commit can refer to.
      if (!hasCode(error, 'MessageTooLarge')) throw error
      return storeAnew()
    }
  })
}

async function digestRange(
  { clock }: ClientParts,
  bytes: AsyncIterable<Uint8Array>,
  algorithm: ChecksumAlgorithm,
): Promise<Digests> {
  const running = new RunningDigests([algorithm])
  let sinceTurn = 0
  for await (const chunk of bytes) {
    running.update(chunk)
    sinceTurn += chunk.length
    if (sinceTurn < HASH_BYTES_PER_TURN) continue
    sinceTurn = 0
    await nextTurn(clock)
  }
  return running.digests()
}
