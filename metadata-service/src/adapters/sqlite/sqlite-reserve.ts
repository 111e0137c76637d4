/**
 * Space kept back for the metadata: a file of zeros beside the database. When the disk is full it is given up, and
 * the store goes on with what frees space: deletes, garbage, leases. Nothing else stands between a full disk and a
 * state in which not even a delete can be written down. It is made again once there is room.
 */
import {
  closeSync,
  ftruncateSync,
  openSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

/** Two checkpoints' worth of WAL, and as much again for the pages they write. */
export const SPACE_RESERVE_BYTES: number = 8 * 1024 * 1024

/**
 * It is given up in pieces: others who write to the same disk take what is free. A piece holds any entry and what a
 * checkpoint adds to the database meanwhile.
 */
const PIECE_BYTES = 1024 * 1024

/** The reserve is made again when so many times its size is free: not at the first byte, to be given up at once. */
const FREE_FACTOR = 3
/** What one block of the file system holds at least. */
const SECTOR_BYTES = 512

/** The reserve of one store. */
export interface SpaceReserve {
  /** All of it is there. */
  readonly isHeld: boolean
  /** Gives a piece of the space to the disk; false if there was none to give. */
  release(): boolean
  /** Takes it back if there is room. */
  tryHold(): void
}

/** Makes the reserve, or finds it; on a full disk what is left of it. */
export function openSpaceReserve(path: string, sizeBytes: number): SpaceReserve {
  let heldBytes = Math.min(sizeBytes, allocatedBytes(path))
  function hold(): void {
    if (heldBytes < sizeBytes && hasRoom(path, sizeBytes)) heldBytes = write(path, sizeBytes)
  }
  hold()
  return {
    get isHeld() {
      return heldBytes === sizeBytes
    },
    release() {
      if (heldBytes === 0) return false
      heldBytes = Math.max(0, heldBytes - PIECE_BYTES)
      if (heldBytes === 0) rmSync(path, { force: true })
      else truncateSync(path, heldBytes)
      return true
    },
    tryHold: hold,
  }
}

function allocatedBytes(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * SECTOR_BYTES
}

function hasRoom(path: string, sizeBytes: number): boolean {
  const { bavail, bsize } = statfsSync(dirname(path))
  return bavail * bsize >= FREE_FACTOR * sizeBytes
}

/** The bytes that are held then: none, and no file, if it does not fit after all. */
function write(path: string, sizeBytes: number): number {
  const file = openSync(path, 'w', 0o600)
  try {
    let written = 0
    const zeros = Buffer.alloc(1024 * 1024)
    while (written < sizeBytes)
      written += writeSync(file, zeros, 0, Math.min(zeros.length, sizeBytes - written))
    return sizeBytes
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    ftruncateSync(file, 0)
    rmSync(path, { force: true })
    return 0
  } finally {
    closeSync(file)
  }
}
