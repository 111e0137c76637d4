/** Stores one part of an upload: its blocks belong to the map of the object to be. */
import {
  type Attempt,
  CairnError,
  type ChecksumAlgorithm,
  type Draft,
  type GetUploadResponse,
  type ObjectChecksum,
  type ObjectSource,
  OP_ID_BYTES,
  type OpId,
  PART_NUMBER_MAX,
  type PartInfo,
  type PutPartRequest,
  parseId,
  putPart,
  type UploadInfo,
  type WriteContext,
} from '@cairn/protocol'
import type { ByteBody, Digests, UploadRef, WriteOptions } from '../api.js'
import { type StoredBlock, type WriteScope, wholeSlice } from '../blocks/stored-block.js'
import { type BuiltMap, type MapBuilder, mapOf } from '../bodies/block-maps.js'
import { etagOf } from '../bodies/body-digests.js'
import { writeBody } from '../bodies/body-writer.js'
import { readHead } from '../bodies/cut.js'
import type { WriterSession } from '../cluster/session.js'
import type { ClientParts } from '../parts.js'
import { type CommitScope, commitWrite, underSession } from './commit.js'

/** What parts of an upload are written for. Never changes while the upload is there. */
export type UploadFacts = Pick<GetUploadResponse, 'upload' | 'space'>

/** One part of one upload. */
export interface PartTarget {
  readonly upload: UploadRef
  readonly partNumber: number
  readonly facts: UploadFacts
}

/** `InvalidArgument` for a number outside 1 to PART_NUMBER_MAX. */
export function assertPartNumber(partNumber: number): void {
  if (Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= PART_NUMBER_MAX) return
  throw new CairnError('InvalidArgument', `a part number is 1 to ${PART_NUMBER_MAX}, not ${partNumber}`)
}

/** The map id of the object to be: the op id in the upload id, behind 16 hex digits of time. */
function mapIdOf(uploadId: string): OpId {
  return parseId<OpId>(uploadId.slice(16), OP_ID_BYTES)
}

/** Where the blocks of an upload go, and under which op they are committed. */
export async function uploadScope(
  parts: ClientParts,
  session: WriterSession,
  { upload, facts }: Pick<PartTarget, 'upload' | 'facts'>,
  signal: AbortSignal | undefined,
): Promise<WriteScope & CommitScope> {
  const { bucket, key, uploadId } = upload
  const owner = { space: facts.space, bucket, key, map: mapIdOf(uploadId) }
  const pool = (await parts.view.defaultPool()).id
  const scope = { session, op: session.nextOp(), owner, pool }
  return signal === undefined ? scope : { ...scope, signal }
}

/** What every part of an upload is digested with, so that the object's checksum can be made of them. */
export function partAlgorithm({ checksumAlgorithm }: UploadInfo): ChecksumAlgorithm {
  return checksumAlgorithm ?? 'CRC64NVME'
}

/** A part's checksum in that algorithm; none unless it was computed. */
export function partChecksum(upload: UploadInfo, digests: Digests): { readonly checksum?: ObjectChecksum } {
  const algorithm = partAlgorithm(upload)
  const digest = digests[algorithm]
  if (digest === undefined) return {}
  return { checksum: { algorithm, type: 'FULL_OBJECT', value: Buffer.from(digest).toString('base64') } }
}

/**
 * Writes the body's blocks and commits the part. Its checksum is the one that the seal gave, but in an upload that
 * declares no algorithm always the same: parts may come there with any, or with none.
 */
export function storePart(
  parts: ClientParts,
  target: PartTarget,
  body: ByteBody,
  given: WriteOptions,
): Promise<PartInfo> {
  const { upload } = target.facts
  const isDeclared = upload.checksumAlgorithm !== undefined
  const options = isDeclared
    ? given
    : { ...given, digests: [...(given.digests ?? []), partAlgorithm(upload)] }
  return underSession(parts, async (session) => {
    const scope = await uploadScope(parts, session, target, options.signal)
    const written = await writeBody(parts, scope, await readHead(body, options), options)
    const seal = options.seal?.(written.digests, written.sizeBytes) ?? {}
    const builder = await mapOf(parts, scope, written.blocks.map(wholeSlice))
    const checksum = isDeclared ? seal : partChecksum(upload, written.digests)
    const facts = { etag: etagOf(written.digests), ...checksum }
    return commitPart(parts, scope, target, { builder, blocks: written.blocks, facts })
  })
}

/** A part whose bytes are durable. */
export interface PartContent {
  readonly builder: MapBuilder
  readonly blocks: readonly StoredBlock[]
  readonly facts: {
    readonly etag: string
    readonly checksum?: ObjectChecksum
    readonly source?: ObjectSource
  }
}

export async function commitPart(
  parts: ClientParts,
  scope: CommitScope,
  { upload, partNumber }: PartTarget,
  { builder, blocks, facts }: PartContent,
): Promise<PartInfo> {
  const { map, sizeBytes } = await builder.finish()
  const named = { upload, partNumber, map, sizeBytes, facts }
  return commitWrite(parts, scope, [...blocks, ...builder.pageBlocks], (context) =>
    parts.metadata.change(putPart, scope.session, (attempt) => partRequest(named, context, attempt)),
  )
}

/** One shape, and what may be absent comes last: an object that others were spread into is slow for all who read it. */
function partRequest(
  {
    upload,
    partNumber,
    map,
    sizeBytes,
    facts,
  }: Omit<PartTarget, 'facts'> & Pick<PartContent, 'facts'> & BuiltMap,
  context: WriteContext,
  attempt: Attempt,
): PutPartRequest {
  const { bucket, key, uploadId } = upload
  const { etag, checksum, source } = facts
  const request: Draft<PutPartRequest> = {
    context,
    bucket,
    key,
    uploadId,
    partNumber,
    map,
    sizeBytes,
    etag,
    attempt,
  }
  if (checksum !== undefined) request.checksum = checksum
  if (source !== undefined) request.source = source
  return request
}
