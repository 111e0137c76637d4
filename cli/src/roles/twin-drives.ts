/** Two folders with the id of one drive: somebody has copied one of them. */
import type { ChunkServer } from '@cairn/chunk-server'
import { CairnError, type DriveId } from '@cairn/protocol'

/**
 * Throws `DataFolderInUse` if two of these servers, all of one process, have the same drive. The metadata refuses the
 * second for as long as the first is there: nobody would ever give way.
 */
export function refuseTwinDrives(servers: readonly Pick<ChunkServer, 'status'>[]): void {
  const folders = new Map<DriveId, string>()
  for (const { drive, name } of servers.flatMap((server) => server.status().drives)) {
    if (drive === undefined) continue
    const twin = folders.get(drive)
    if (twin !== undefined) {
      const advice = 'one is a copy of the other, and must not be a drive as well'
      throw new CairnError('DataFolderInUse', `${twin} and ${name} are both drive ${drive}: ${advice}`)
    }
    folders.set(drive, name)
  }
}
