/**
 * Completes a multipart upload.
 *
 * 1. The list is checked against the parts as they are, so that an ordinary mistake leaves the upload open.
 * 2. The upload is frozen: its parts can no longer change.
 * 3. The parts are read again, checked, and their slices put into one map, inline or as pages.
 * 4. One commit by the op of the freeze makes the version; its cost does not depend on the number of parts.
 *
 * A refusal after 2 thaws the upload at once; a crash leaves that to the next Complete or Abort. A repeat with the same
 * list gets the stored result.
 */
import {
  CairnError,
  type CompletedUpload,
  completeUpload as completeUploadMethod,
  type FreezeUploadResponse,
  freezeUpload,
  getObject,
  getUpload,
  hasCode,
  LIST_PAGE_MAX,
  listParts,
  type OpId,
  type PartInfo,
  thawUpload,
  type UploadInfo,
} from '@cairn/protocol'
import type { CompleteUploadOptions, RequestedPart, UploadRef } from '../api.js'
import type { WriteScope } from '../blocks/stored-block.js'
import { MapBuilder, slicesInRange } from '../bodies/block-maps.js'
import type { WriterSession } from '../cluster/session.js'
import { PART_BYTES_MIN, RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN } from '../limits.js'
import type { ClientParts } from '../parts.js'
import { sleep, throwIfCancelled } from '../waiting.js'
import { commitWrite, underSession } from './commit.js'
import { assertOrder, assertPart, hashList, PartTotals } from './part-list.js'
import { uploadScope } from './store-part.js'

/** What a Complete answers. */
export type CompletedResult = CompletedUpload & { readonly sizeBytes: number }

interface Completion {
  readonly parts: ClientParts
  readonly upload: UploadRef
  readonly requested: readonly RequestedPart[]
  readonly options: CompleteUploadOptions
  readonly listHash: string
}

/** Attempts when another Complete of the same upload took the freeze over: as many as may well come at once. */
const ATTEMPTS_MAX = 8
/** Attempts when the upload is not there: another Complete may have ended it between freeze and commit. */
const GONE_ATTEMPTS_MAX = 2

export async function completeUpload(
  parts: ClientParts,
  { bucket, key, uploadId }: UploadRef,
  requested: readonly RequestedPart[],
  options: CompleteUploadOptions,
): Promise<CompletedResult> {
  throwIfCancelled(options.signal)
  assertOrder(requested)
  const upload = { bucket, key, uploadId }
  const completion = { parts, upload, requested, options, listHash: hashList(requested) }
  await checkBefore(completion)
  for (let attempt = 1; ; attempt++) {
    try {
      return await underSession(parts, (session) => freezeAndCommit(completion, session))
    } catch (error) {
      if (!(await mayRepeat(completion, error, attempt))) throw error
    }
  }
}

/** Waits longer each time, so that of many that overtake each other one gets through. */
async function mayRepeat({ parts, options }: Completion, error: unknown, attempt: number): Promise<boolean> {
  if (hasCode(error, 'NoSuchUpload')) return attempt < GONE_ATTEMPTS_MAX
  if (!hasCode(error, 'ConditionalConflict') || attempt >= ATTEMPTS_MAX) return false
  const meanMs = Math.min(RETRY_DELAY_MS_MAX, RETRY_DELAY_MS_MIN * 2 ** (attempt - 1))
  await sleep(parts.clock, parts.random.fraction() * 2 * meanMs, options.signal)
  return true
}

/** An upload that is not open may be complete already: the freeze tells. */
async function checkBefore(completion: Completion): Promise<void> {
  const { parts, upload, options } = completion
  try {
    const { upload: info } = await parts.metadata.read(getUpload, upload, options.signal)
    const totals = new PartTotals()
    for await (const part of listedParts(completion, { withMaps: false })) totals.add(part)
    settleChecksum(completion, info, totals)
  } catch (error) {
    if (!hasCode(error, 'NoSuchUpload')) throw error
  }
}

async function freezeAndCommit(completion: Completion, session: WriterSession): Promise<CompletedResult> {
  const { parts, upload } = completion
  const op = session.nextOp()
  const frozen = await parts.metadata.change(freezeUpload, session, (attempt) => ({ ...upload, op, attempt }))
  if (frozen.completed !== undefined) return repeated(completion, frozen.completed)
  try {
    return await commitFrozen(completion, session, { op, frozen })
  } catch (error) {
    if (hasCode(error, ...REFUSALS)) await thaw(completion, session, op)
    throw error
  }
}

/** Errors after which nothing was completed, and the upload should be as usable as before. */
const REFUSALS = [
  'PreconditionFailed',
  'NoSuchKey',
  'InvalidPart',
  'PartTooSmall',
  'DigestMismatch',
  'LengthMismatch',
  'InsufficientReplicas',
] as const

/** Gives the freeze up. Fails softly: the next Complete or Abort takes over a freeze that stayed. */
async function thaw({ parts, upload }: Completion, session: WriterSession, op: OpId): Promise<void> {
  try {
    await parts.metadata.change(thawUpload, session, (attempt) => ({ ...upload, op, attempt }))
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
  }
}

interface Freeze {
  readonly op: OpId
  readonly frozen: FreezeUploadResponse
}

async function commitFrozen(
  completion: Completion,
  session: WriterSession,
  { op, frozen }: Freeze,
): Promise<CompletedResult> {
  const { parts, upload, listHash, options } = completion
  const given = await uploadScope(parts, session, { upload, facts: frozen }, options.signal)
  const { builder, totals } = await gather(completion, given)
  const checksum = settleChecksum(completion, frozen.upload, totals)
  const { map, sizeBytes } = await builder.finish()
  if (sizeBytes !== totals.sizeBytes) throw new CairnError('Internal', 'the maps of the parts do not add up')
  const { etag, runs } = totals
  const partChecksums = checksum.checksum && totals.partChecksums(frozen.upload, checksum.checksum)
  const content = {
    ...upload,
    ...{ map, sizeBytes, etag, parts: runs, listHash, ...checksum },
    ...(partChecksums && { partChecksums }),
  }
  const { preconditions } = options
  const request = preconditions === undefined ? content : { ...content, preconditions }
  const scope = { ...given, op, pool: map.pool }
  const answer = await commitWrite(parts, scope, builder.pageBlocks, (context) =>
    parts.metadata.change(completeUploadMethod, session, (attempt) => ({ context, ...request, attempt })),
  )
  return { ...answer, sizeBytes }
}

/** Adds the parts up and puts their slices into one map. It lies in the pool of the parts. */
async function gather(
  completion: Completion,
  scope: WriteScope,
): Promise<{ readonly builder: MapBuilder; readonly totals: PartTotals }> {
  const { parts, options } = completion
  const totals = new PartTotals()
  let builder: MapBuilder | undefined
  for await (const part of listedParts(completion, { withMaps: true })) {
    const { map, partNumber, sizeBytes } = part
    if (map === undefined) throw new CairnError('Internal', `part ${partNumber} came without its map`)
    builder ??= new MapBuilder(parts, { ...scope, pool: map.pool })
    if (map.pool !== builder.pool) {
      throw new CairnError('InvalidPart', `part ${partNumber} lies in another pool than the first one`)
    }
    const all = { offset: 0, length: sizeBytes }
    for await (const slice of slicesInRange(parts, map, all, options.signal)) await builder.add(slice)
    totals.add(part)
  }
  return { builder: builder ?? new MapBuilder(parts, scope), totals }
}

/** The parts of the list in order, each checked. */
async function* listedParts(
  completion: Completion,
  { withMaps }: { readonly withMaps: boolean },
): AsyncGenerator<PartInfo, void, undefined> {
  const { requested, options } = completion
  const smallestBytes = options.partBytesMin ?? PART_BYTES_MIN
  const pages = new PartPages(completion, withMaps)
  for (const [index, wanted] of requested.entries()) {
    const part = await pages.find(wanted.partNumber)
    assertPart(wanted, part, index === requested.length - 1 ? 0 : smallestBytes)
    yield part
  }
}

/** The stored parts, a page at a time, asked for by ascending number. */
class PartPages {
  private readonly completion: Completion
  private readonly withMaps: boolean
  private page: readonly PartInfo[] = []
  private at = 0
  private afterPart = 0
  private hasMore = true

  constructor(completion: Completion, withMaps: boolean) {
    this.completion = completion
    this.withMaps = withMaps
  }

  /** The part of that number, or else the next one after it, or `undefined`. */
  async find(partNumber: number): Promise<PartInfo | undefined> {
    for (;;) {
      const part = this.page[this.at]
      if (part === undefined && !this.hasMore) return undefined
      if (part === undefined) await this.turn(partNumber)
      else if (part.partNumber < partNumber) this.at++
      else return part
    }
  }

  private async turn(partNumber: number): Promise<void> {
    const { parts, upload, options } = this.completion
    const afterPart = Math.max(this.afterPart, partNumber - 1)
    const request = { ...upload, afterPart, limit: LIST_PAGE_MAX, withMaps: this.withMaps }
    const answer = await parts.metadata.read(listParts, request, options.signal)
    this.page = answer.parts
    this.at = 0
    this.afterPart = answer.parts.at(-1)?.partNumber ?? afterPart
    this.hasMore = answer.truncated && answer.parts.length > 0
  }
}

/** Compares what the caller expects of the object: `LengthMismatch`, `DigestMismatch`. */
function settleChecksum(
  { options }: Completion,
  upload: UploadInfo,
  totals: PartTotals,
): Pick<CompletedUpload, 'checksum'> {
  if (options.sizeBytes !== undefined && options.sizeBytes !== totals.sizeBytes) {
    throw new CairnError('LengthMismatch', `the parts have ${totals.sizeBytes} bytes`)
  }
  const checksum = totals.checksum(upload)
  const expected = options.checksum
  if (expected === undefined) return checksum === undefined ? {} : { checksum }
  const isSame = checksum?.algorithm === expected.algorithm && checksum.value === expected.value
  if (!isSame) throw new CairnError('DigestMismatch', 'the parts do not make up the checksum expected')
  return { checksum }
}

/** The result of an earlier Complete, if it had the same list. */
async function repeated(
  { parts, upload: { bucket, key }, listHash, options }: Completion,
  completed: CompletedUpload,
): Promise<CompletedResult> {
  if (completed.listHash !== listHash) {
    throw new CairnError('NoSuchUpload', 'the upload was completed with another list of parts')
  }
  if (completed.sizeBytes !== undefined) return { ...completed, sizeBytes: completed.sizeBytes }
  const request = { bucket, key, ...(completed.versionId && { versionId: completed.versionId }) }
  const { object } = await parts.metadata.read(getObject, request, options.signal)
  return { ...completed, sizeBytes: object.etag === completed.etag ? object.sizeBytes : 0 }
}
