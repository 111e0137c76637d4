import type { Clock, DriveId, Random } from '@cairn/protocol'
import { MemoryBlockIndex } from '../adapters/memory-block-index.js'
import type { DriveSource, UpkeptBlockStore } from '../core/drives/drive-source.js'
import type { SegmentLimits } from '../core/segments/segment-limits.js'
import { openSegmentBlockStore } from '../core/store/segment-block-store.js'
import type { DamageEvent, Disk } from '../ports.js'

/** How a drive of a simulated cluster is made. */
export interface SimulatedDriveOptions {
  readonly name: string
  readonly disk: Disk
  /** Device and parent folder as text: a folder emptied in place keeps both. */
  readonly device?: string
  readonly parent?: string
  readonly openStore: (disk: Disk, drive: DriveId) => Promise<UpkeptBlockStore>
}

/** A drive on any `Disk` with any store, for servers that run inside a test. */
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

/** What the segments of a simulated drive need. */
export interface SimulatedSegmentDriveOptions {
  readonly name: string
  readonly disk: Disk
  readonly clock: Clock
  readonly random: Random
  readonly limits?: Partial<SegmentLimits>
  readonly onDamage?: (event: DamageEvent) => void
}

/** A drive with real segments; its index lives in memory and is lost at each opening, as after the worst crash. */
export function simulatedSegmentDrive(options: SimulatedSegmentDriveOptions): DriveSource {
  const { name, disk, clock, random, limits = {}, onDamage = () => undefined } = options
  return simulatedDrive({
    name,
    disk,
    openStore: (_, driveId) => {
      const index = new MemoryBlockIndex()
      return openSegmentBlockStore({
        disk,
        index,
        clock,
        random,
        limits,
        driveId,
        durability: 'fsync',
        onDamage,
      })
    },
  })
}
