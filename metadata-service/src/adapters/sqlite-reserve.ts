/**
 * Space kept back for the metadata: a file of zeros beside the database. When the disk is full it is given up, and
 * the store goes on with what frees space: deletes, garbage, leases. Nothing else stands between a full disk and a
 * state in which not even a delete can be written down. It is made again once there is room.
 */
import { closeSync, ftruncateSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Two checkpoints' worth of WAL, and as much again for the pages they write. */
export const SPACE_RESERVE_BYTES: number = 8 * 1024 * 1024

/** The reserve is made again when so many times its size is free: not at the first byte, to be given up at once. */
const FREE_FACTOR = 3
/** What one block of the file system holds at least. */
const SECTOR_BYTES = 512

/** The reserve of one store. */
export interface SpaceReserve {
  readonly isHeld: boolean
  /** Gives the space to the disk; false if there was none to give. */
  release(): boolean
  /** Takes it back if there is room. */
  tryHold(): void
}

/** Makes the reserve, or finds it; on a full disk it is not held. */
export function openSpaceReserve(path: string, sizeBytes: number): SpaceReserve {
  let isHeld = isWhole(path, sizeBytes) || (hasRoom(path, sizeBytes) && write(path, sizeBytes))
  return {
    get isHeld() {
      return isHeld
    },
    release() {
      if (!isHeld) return false
      isHeld = false
      rmSync(path, { force: true })
      return true
    },
    tryHold() {
      isHeld ||= hasRoom(path, sizeBytes) && write(path, sizeBytes)
    },
  }
}

/** All its blocks are allocated. */
function isWhole(path: string, sizeBytes: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && found.blocks * SECTOR_BYTES >= sizeBytes
}

function hasRoom(path: string, sizeBytes: number): boolean {
  const { bavail, bsize } = statfsSync(dirname(path))
  return bavail * bsize >= FREE_FACTOR * sizeBytes
}

/** False, and no file, if it does not fit after all. */
function write(path: string, sizeBytes: number): boolean {
  const file = openSync(path, 'w', 0o600)
  try {
    let written = 0
    const zeros = Buffer.alloc(1024 * 1024)
    while (written < sizeBytes)
      written += writeSync(file, zeros, 0, Math.min(zeros.length, sizeBytes - written))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    ftruncateSync(file, 0)
    rmSync(path, { force: true })
    return false
  } finally {
    closeSync(file)
  }
}
