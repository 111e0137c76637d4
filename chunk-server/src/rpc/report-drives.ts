import { type RpcRouter, reportDrives } from '@cairn/protocol'
import type { DriveSet } from '../core/drives/drive-set.js'

/** Health and space of all drives, as at this moment. */
export function handleReportDrives(router: RpcRouter, drives: DriveSet): void {
  router.handle(reportDrives, async () => ({ response: { drives: await drives.reports() } }))
}
