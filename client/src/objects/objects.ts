/** Object methods: put, open, head, delete, copy. */
import {
  type Attempt,
  type BlockMap,
  type BlockSlice,
  type BucketInfo,
  type CopyObjectResponse,
  copyObject,
  type Draft,
  getObject,
  hasCode,
  type ObjectAttributes,
  type ObjectChecksum,
  type PutObjectRequest,
  putObject,
  type SetObjectTagsResponse,
  type SpaceId,
  setObjectTags,
  type Tag,
  type WriteContext,
} from '@cairn/protocol'
import type {
  ByteBody,
  CairnClient,
  CallControl,
  CopyObjectOptions,
  CopySource,
  GetObjectOptions,
  OpenedObject,
  PutObjectOptions,
  PutObjectResult,
  WriteSeal,
} from '../api.js'
import { type StoredBlock, type WriteScope, wholeSlice } from '../blocks/stored-block.js'
import { mapOf, shortMap } from '../bodies/block-maps.js'
import { etagOf } from '../bodies/body-digests.js'
import { writeBody } from '../bodies/body-writer.js'
import { type BodyHead, readHead } from '../bodies/cut.js'
import { readAtOnce, readRange } from '../bodies/range-reader.js'
import type { WriterSession } from '../cluster/session.js'
import type { ClientParts } from '../parts.js'
import { throwIfCancelled } from '../waiting.js'
import { fetchBucket } from './buckets.js'
import { type CommitScope, changeUnderSession, commitWrite, underSession } from './commit.js'
import { deleteAll, deleteOne } from './delete-objects.js'
import type { FactCache } from './fact-cache.js'

/** A delete marker has no bytes. */
const NO_MAP: BlockMap = { pool: 0, slices: [], pages: [] }
const NO_SEAL: WriteSeal = {}
const NO_ATTRIBUTES: ObjectAttributes = {}

type ObjectMethods = Pick<
  CairnClient,
  | 'putObject'
  | 'openObject'
  | 'openObjectNow'
  | 'headObject'
  | 'deleteObjects'
  | 'deleteObject'
  | 'copyObject'
  | 'setObjectTags'
>

export function createObjectMethods(parts: ClientParts, buckets: FactCache<BucketInfo>): ObjectMethods {
  return {
    putObject: (bucket, key, body, options = {}) => putBody({ parts, buckets, bucket, key, options }, body),
    openObject: (bucket, key, options = {}) => open(parts, bucket, key, options),
    openObjectNow: (bucket, key) => openNow(parts, bucket, key),
    headObject: async (bucket, key, options = {}) =>
      (lookUpNow(parts, bucket, key, options) ?? (await lookUp(parts, bucket, key, options))).object,
    deleteObjects: (bucket, targets, control) => deleteAll(parts, bucket, targets, control),
    deleteObject: (bucket, target, control) => deleteOne(parts, bucket, target, control),
    copyObject: (source, bucket, key, options = {}) => copy(parts, source, { bucket, key }, options),
    setObjectTags: (bucket, key, tags, options = {}) => setTags(parts, { bucket, key, tags }, options),
  }
}

interface Put {
  readonly parts: ClientParts
  readonly buckets: FactCache<BucketInfo>
  readonly bucket: string
  readonly key: string
  readonly options: PutObjectOptions
}

/**
 * The bucket is checked before the body is read. A remembered bucket serves bodies of one unit only: should it
 * turn out to be gone, the write, which then has surely not happened, is done again with fresh facts.
 */
async function putBody(put: Put, body: ByteBody): Promise<PutObjectResult> {
  const { parts, buckets, bucket, options } = put
  const remembered = buckets.find(bucket)
  const known = remembered ?? (await fetchBucket(parts, buckets, bucket, options.signal))
  const head = await readHead(body, options)
  if (remembered === undefined) return putHead(put, known, head)
  if (head.whole === undefined) return putHead(put, await refetch(put, head), head)
  try {
    return await putHead(put, remembered, head)
  } catch (error) {
    if (!hasCode(error, 'NoSuchBucket') || error.details.afterLostAnswer === 'true') throw error
    return putHead(put, await refetch(put, head), head)
  }
}

async function refetch({ parts, buckets, bucket, options }: Put, head: BodyHead): Promise<BucketInfo> {
  buckets.forget(bucket)
  try {
    return await fetchBucket(parts, buckets, bucket, options.signal)
  } catch (error) {
    head.source?.leave()
    throw error
  }
}

function putHead(put: Put, bucket: BucketInfo, head: BodyHead): Promise<PutObjectResult> {
  return underSession(put.parts, (session) => putUnder(session, put, bucket, head))
}

async function putUnder(
  session: WriterSession,
  put: Put,
  { space }: BucketInfo,
  head: BodyHead,
): Promise<PutObjectResult> {
  const { parts, bucket, key, options } = put
  const pools = parts.view.defaultPool()
  const pool = (pools instanceof Promise ? await pools : pools).id
  const op = session.nextOp()
  const owner = { space, bucket, key, map: op }
  const scope: Draft<WriteScope & CommitScope> = { session, owner, pool, op }
  if (options.signal !== undefined) scope.signal = options.signal
  const { blocks, sizeBytes, digests } = await writeBody(parts, scope, head, options)
  const { checksum } = options.seal?.(digests, sizeBytes) ?? NO_SEAL
  const mapped = mapOfBlocks(parts, scope, blocks)
  const { map, pageBlocks } = mapped instanceof Promise ? await mapped : mapped
  const etag = etagOf(digests)
  const content = { space, map, sizeBytes, etag, checksum }
  const { versionId, modifiedMs } = await commitWrite(
    parts,
    scope,
    pageBlocks.length === 0 ? blocks : [...blocks, ...pageBlocks],
    (context) =>
      parts.metadata.change(putObject, session, (attempt) => putRequest(put, content, context, attempt)),
  )
  const result: Draft<PutObjectResult> = { etag, sizeBytes, modifiedMs }
  if (versionId !== undefined) result.versionId = versionId
  if (checksum !== undefined) result.checksum = checksum
  return result
}

/** What a body has become. */
interface PutContent {
  readonly space: SpaceId
  readonly map: BlockMap
  readonly sizeBytes: number
  readonly etag: string
  readonly checksum: ObjectChecksum | undefined
}

/** One shape, and what may be absent comes last: an object that others were spread into is slow for all who read it. */
function putRequest(
  { bucket, key, options }: Put,
  { space, map, sizeBytes, etag, checksum }: PutContent,
  context: WriteContext,
  attempt: Attempt,
): PutObjectRequest {
  const { attributes = NO_ATTRIBUTES, preconditions, owner = '' } = options
  const request: Draft<PutObjectRequest> = {
    context,
    bucket,
    space,
    key,
    map,
    sizeBytes,
    etag,
    owner,
    attributes,
    attempt,
  }
  if (checksum !== undefined) request.checksum = checksum
  if (preconditions !== undefined) request.preconditions = preconditions
  return request
}

function mapOfBlocks(
  parts: ClientParts,
  scope: WriteScope,
  blocks: readonly StoredBlock[],
): MapOfBlocks | Promise<MapOfBlocks> {
  const slices = blocks.map(wholeSlice)
  const map = shortMap(scope.pool, slices)
  return map === undefined ? pagedMap(parts, scope, slices) : { map, pageBlocks: [] }
}

interface MapOfBlocks {
  readonly map: BlockMap
  readonly pageBlocks: readonly StoredBlock[]
}

async function pagedMap(
  parts: ClientParts,
  scope: WriteScope,
  slices: readonly BlockSlice[],
): Promise<MapOfBlocks> {
  const builder = await mapOf(parts, scope, slices)
  const { map } = await builder.finish()
  return { map, pageBlocks: builder.pageBlocks }
}

function control({ signal }: CallControl): CallControl {
  return signal === undefined ? {} : { signal }
}

function lookUp(
  { metadata }: ClientParts,
  bucket: string,
  key: string,
  { versionId, signal }: GetObjectOptions,
): Promise<Pick<OpenedObject, 'object' | 'versioning'>> {
  const request = versionId === undefined ? { bucket, key } : { bucket, key, versionId }
  return metadata.read(getObject, request, signal)
}

const NO_OPTIONS: GetObjectOptions = {}

function openNow(parts: ClientParts, bucket: string, key: string): OpenedObject | undefined {
  const found = lookUpNow(parts, bucket, key, NO_OPTIONS)
  return found === undefined ? undefined : opened(parts, found, NO_OPTIONS)
}

/** What the metadata service has at hand is opened without waiting. */
function open(
  parts: ClientParts,
  bucket: string,
  key: string,
  options: GetObjectOptions,
): Promise<OpenedObject> {
  const found = lookUpNow(parts, bucket, key, options)
  if (found !== undefined) return Promise.resolve(opened(parts, found, options))
  return lookUp(parts, bucket, key, options).then((later) => opened(parts, later, options))
}

function lookUpNow(
  { metadata }: ClientParts,
  bucket: string,
  key: string,
  { versionId, signal }: GetObjectOptions,
): Pick<OpenedObject, 'object' | 'versioning'> | undefined {
  if (versionId !== undefined || signal?.aborted === true) return undefined
  return metadata.readNow(getObject, { bucket, key })
}

function opened(
  parts: ClientParts,
  { object, versioning }: Pick<OpenedObject, 'object' | 'versioning'>,
  options: GetObjectOptions,
): OpenedObject {
  const { map = NO_MAP, sizeBytes } = object
  const all = { offset: 0, length: sizeBytes }
  return {
    object,
    versioning,
    read: (range = all, control) =>
      readRange(parts, { map, sizeBytes, range }, control?.signal ?? options.signal),
    readAtOnce: (range = all, control) => readAtOnce(parts, { map, sizeBytes, range }, control ?? options),
  }
}

function copy(
  parts: ClientParts,
  source: CopySource,
  to: { readonly bucket: string; readonly key: string },
  options: CopyObjectOptions,
): Promise<CopyObjectResponse> {
  return underSession(parts, async (session) => {
    const pool = (await parts.view.defaultPool()).id
    const op = session.nextOp()
    const { signal, owner = '', ...given } = options
    const scope = { session, op, pool, ...control(options) }
    return commitWrite(parts, scope, [], (context) =>
      parts.metadata.change(copyObject, session, (attempt) => ({
        context,
        source,
        ...to,
        owner,
        ...given,
        attempt,
      })),
    )
  })
}

async function setTags(
  parts: ClientParts,
  target: { readonly bucket: string; readonly key: string; readonly tags: readonly Tag[] },
  { versionId, signal }: GetObjectOptions,
): Promise<SetObjectTagsResponse> {
  throwIfCancelled(signal)
  const version = versionId === undefined ? {} : { versionId }
  return changeUnderSession(parts, setObjectTags, (op, attempt) => ({ op, ...target, ...version, attempt }))
}
