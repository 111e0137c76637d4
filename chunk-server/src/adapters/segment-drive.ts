import { join } from 'node:path'
import type { Clock, DriveId, Random } from '@cairn/protocol'
import type { DriveSource, OpenedFolder } from '../core/drives/drive-source.js'
import { openSegmentBlockStore, type SegmentBlockStore } from '../core/store/segment-block-store.js'
import type { DamageEvent } from '../ports.js'
import { type DriveFolder, lookAt, openDriveFolder } from './drive-folder.js'
import { openSqliteBlockIndex } from './sqlite-block-index.js'

/** The index lies beside the segments; losing it costs a scan, never a block. */
const INDEX_FILE = 'index.sqlite'

export interface SegmentDriveOptions {
  readonly clock: Clock
  readonly random: Random
  readonly durability: 'fsync' | 'none'
  readonly onDamage: (event: DamageEvent) => void
}

/** A drive in a folder: segments for the blocks, SQLite for their index. */
export function segmentDrive(folder: string, options: SegmentDriveOptions): DriveSource {
  return {
    name: folder,
    look: () => lookAt(folder),
    async open(): Promise<OpenedFolder> {
      const opened = await openDriveFolder(folder, { durability: options.durability })
      return {
        disk: opened.disk,
        place: opened.place,
        openStore: (driveId, how) => openStore(opened, driveId, { ...options, ...how }),
        release: () => opened.lock.release(),
      }
    },
  }
}

async function openStore(
  folder: DriveFolder,
  driveId: DriveId,
  options: SegmentDriveOptions & { readonly freshIndex?: boolean },
): Promise<SegmentBlockStore> {
  const { disk, place } = folder
  const index = openSqliteBlockIndex(join(place.path, INDEX_FILE), {
    onDamage: options.onDamage,
    fresh: options.freshIndex === true,
  })
  try {
    return await openSegmentBlockStore({ ...options, disk, index, driveId })
  } catch (error) {
    index.close()
    throw error
  }
}
