/** Failures that come of something not being there, not of a disk in error: what was synced before still counts. */
import { CairnError } from '@cairn/protocol'

/** The failure of a drive whose folder or files have gone. */
export function absence(message: string): CairnError {
  return new CairnError('DriveFailed', message, { details: { reason: 'gone' } })
}

/** True if the error comes of a file or folder that is not there. */
export function isAbsence(error: CairnError): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return true
  }
  return error.details.reason === 'gone'
}
