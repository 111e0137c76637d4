import { listWriters, type RpcRouter } from '@cairn/protocol'
import type { DriveSet } from '../core/drives/drive-set.js'
import { ownedSessionId, pageLimit } from './arguments.js'

/** One page of the sessions that have live blocks on a drive. */
export function handleListWriters(router: RpcRouter, drives: DriveSet): void {
  router.handle(listWriters, async (request) => {
    const drive = drives.get(request.drive)
    const after = request.after === undefined ? undefined : ownedSessionId(request.after)
    try {
      return { response: await drive.readable().writers(after, pageLimit(request.limit)) }
    } catch (error) {
      throw drive.noted(error)
    }
  })
}
