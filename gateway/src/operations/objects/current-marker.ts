import { CairnError, hasCode } from '@cairn/protocol'

/**
 * For operations on a version that S3 refuses with 405 where a delete marker is current, though none was named: what
 * would be `NoSuchKey` rejects as if the marker had been named.
 */
export async function refusingMarker<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    if (!hasCode(cause, 'NoSuchKey') || cause.details.deleteMarker !== 'true') throw cause
    throw new CairnError('VersionIsDeleteMarker', cause.message, { cause, details: { ...cause.details } })
  }
}
