/** Multipart uploads. */
import {
  abortUpload,
  createUpload,
  getUpload,
  type PartInfo,
  type SpaceId,
  type UploadInfo,
} from '@cairn/protocol'
import type { CairnClient, UploadRef } from '../api.js'
import type { ClientParts } from '../parts.js'
import { throwIfCancelled } from '../waiting.js'
import { changeUnderSession } from './commit.js'
import { completeUpload } from './complete-upload.js'
import { copyPart } from './copy-part.js'
import type { FactCache } from './fact-cache.js'
import { assertPartNumber, storePart, type UploadFacts } from './store-part.js'

type UploadMethods = Pick<
  CairnClient,
  'createUpload' | 'getUpload' | 'uploadPart' | 'copyPart' | 'completeUpload' | 'abortUpload'
>

export function createUploadMethods(parts: ClientParts, uploads: FactCache<UploadFacts>): UploadMethods {
  const { metadata } = parts
  return {
    async createUpload(bucket, key, options = {}): Promise<UploadInfo> {
      const { signal, owner = '', attributes = {}, ...checksum } = options
      throwIfCancelled(signal)
      return changeUnderSession(parts, createUpload, (op, attempt) => ({
        op,
        bucket,
        key,
        owner,
        attributes,
        ...checksum,
        attempt,
      }))
    },
    async getUpload({ bucket, key, uploadId }, control): Promise<UploadInfo> {
      return (await metadata.read(getUpload, { bucket, key, uploadId }, control?.signal)).upload
    },
    async uploadPart(upload, partNumber, body, options = {}): Promise<PartInfo> {
      assertPartNumber(partNumber)
      const facts = await factsOf(parts, uploads, upload, options.signal)
      return storePart(parts, { upload, partNumber, facts }, body, options)
    },
    async copyPart(upload, partNumber, source, range, control) {
      assertPartNumber(partNumber)
      const facts = await factsOf(parts, uploads, upload, control?.signal)
      return copyPart(parts, { upload, partNumber, facts }, { source, range, signal: control?.signal })
    },
    completeUpload: (upload, requested, options = {}) => completeUpload(parts, upload, requested, options),
    async abortUpload(upload, control): Promise<void> {
      throwIfCancelled(control?.signal)
      uploads.forget(nameOf(upload))
      const { bucket, key, uploadId } = upload
      await changeUnderSession(parts, abortUpload, (op, attempt) => ({ bucket, key, uploadId, op, attempt }))
    },
  }
}

function nameOf({ bucket, key, uploadId }: UploadRef): string {
  return JSON.stringify([bucket, key, uploadId])
}

/** Facts that are stale by now cost a part that its commit refuses, never a wrong one. */
async function factsOf(
  { metadata }: ClientParts,
  uploads: FactCache<UploadFacts>,
  ref: UploadRef,
  signal: AbortSignal | undefined,
): Promise<UploadFacts> {
  const name = nameOf(ref)
  const remembered = uploads.find(name)
  if (remembered !== undefined) return remembered
  const { bucket, key, uploadId } = ref
  const { upload, space } = await metadata.read(getUpload, { bucket, key, uploadId }, signal)
  const facts: UploadFacts = { upload, space: Uint8Array.from(space) as SpaceId }
  uploads.remember(name, facts)
  return facts
}
