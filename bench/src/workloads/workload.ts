import type { WorkItem } from '../load/work.js'
import type { Stage } from './stage.js'

/** What a request does to the server, for the limit that it is compared with. */
export type WorkKind = 'put' | 'get' | 'stat' | 'delete' | 'list' | 'copy' | 'mixed'

/** One line of the report. */
export interface Workload {
  readonly name: string
  readonly kind: WorkKind
  /** Bytes that one request moves; 0 if none. */
  readonly sizeBytes: number
  readonly connections: number
  readonly requests: number
  /** Keys in one answer. */
  readonly keys?: number
  /** Fills the bucket with what the requests need, and signs them. */
  prepare(stage: Stage): Promise<readonly WorkItem[]>
}
