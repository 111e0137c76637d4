import type { UploadRef } from '@cairn/client'
import { hasCode, type UploadInfo } from '@cairn/protocol'
import type { OperationContext } from '../types.js'

/** An upload that is neither completed nor aborted; `undefined` unless there is one of that id under that key. */
export async function findUpload(
  { client, signal }: Pick<OperationContext, 'client' | 'signal'>,
  upload: UploadRef,
): Promise<UploadInfo | undefined> {
  try {
    return await client.getUpload(upload, { signal })
  } catch (error) {
    if (hasCode(error, 'NoSuchUpload')) return undefined
    throw error
  }
}
