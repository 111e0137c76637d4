import { CairnError, type ErrorCode } from '@cairn/protocol'
import type { ServiceLog } from './service.js'

/**
 * Failures by which the cluster only says that it has moved on: the map has changed, another service coordinates, a
 * peer is away. The next run of the work deals with it, and drives that stay away have a state that says so.
 */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'StaleClusterMap',
  'SessionExpired',
  'ConnectionLost',
  'DeadlineExceeded',
  'ShuttingDown',
])

/** Logs failures of background work, which is tried again: an error with its stack only where somebody should look. */
export function logFailedWork(log: ServiceLog | undefined): (work: string, error: unknown) => void {
  return (work, error) => {
    if (error instanceof CairnError && PASSING.has(error.code)) {
      log?.info({ work, code: error.code, reason: error.message }, 'background work will be tried again')
    } else {
      log?.error({ work, err: error }, 'background work failed')
    }
  }
}
