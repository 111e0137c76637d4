import type { DriveId } from '@cairn/protocol'
import type { DriveSource, UpkeptBlockStore } from '../core/drive.js'
import type { Disk } from '../ports.js'

/** How a drive of a simulated cluster is made. */
export interface SimulatedDriveOptions {
  readonly name: string
  readonly disk: Disk
  /** Device and parent folder as text: a folder emptied in place keeps both. */
  readonly device?: string
  readonly parent?: string
  readonly openStore: (disk: Disk, drive: DriveId) => Promise<UpkeptBlockStore>
}

/** A drive on any `Disk`, for servers that run inside a test. */
export function simulatedDrive(options: SimulatedDriveOptions): DriveSource {
  const { name, disk, device = 'simulated', parent = `parent of ${name}` } = options
  return {
    name,
    open: async () => ({
      disk,
      place: { path: name, device, parent },
      openStore: (drive) => options.openStore(disk, drive),
      release: () => undefined,
    }),
  }
}
