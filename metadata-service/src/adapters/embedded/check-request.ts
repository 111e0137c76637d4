/** What every entry store demands of its callers' requests. A breach is `InvalidArgument`: a mistake of ours. */
import { CairnError } from '@cairn/protocol'
import type { Read } from '../../ports.js'
import { SCAN_ROWS_MAX } from './entry-store-limits.js'

/** Scans take 1 to SCAN_ROWS_MAX rows. */
export function checkReads(reads: readonly Read[]): void {
  for (const read of reads) {
    if (read.kind !== 'scan') continue
    if (Number.isInteger(read.limit) && read.limit >= 1 && read.limit <= SCAN_ROWS_MAX) continue
    throw new CairnError('InvalidArgument', `a scan of ${read.limit} rows`)
  }
}

/** A lease lasts at least a millisecond. */
export function checkTtl(ttlMs: number): void {
  if (Number.isFinite(ttlMs) && ttlMs >= 1) return
  throw new CairnError('InvalidArgument', `a lease of ${ttlMs} ms`)
}
