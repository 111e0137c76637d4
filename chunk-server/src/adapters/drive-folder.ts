/** A drive in a folder of a real file system: made if missing, locked, with its place in the machine. */
import { mkdir, open, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { DRIVE_FILE } from '../core/drives/drive-identity.js'
import type { DriveGround, DrivePlace } from '../core/drives/drive-source.js'
import { SEGMENT_FOLDER } from '../core/segments/segment-header.js'
import type { Disk } from '../ports.js'
import { type FolderLock, lockFolder } from './folder-lock.js'
import { createNodeDisk, type NodeDiskOptions } from './node-disk.js'

/** A drive's folder, held by this process. */
export interface DriveFolder {
  readonly disk: Disk
  readonly place: DrivePlace
  readonly lock: FolderLock
}

/** Opens and locks a drive's folder. `DataFolderInUse`, or `DriveFailed` with the cause. */
export async function openDriveFolder(folder: string, options: NodeDiskOptions): Promise<DriveFolder> {
  const path = resolve(folder)
  try {
    await makeFolderDurably(path)
    const place = await placeOf(path)
    return { disk: createNodeDisk(path, options), place, lock: lockFolder(path) }
  } catch (error) {
    if (error instanceof CairnError) throw error
    throw new CairnError('DriveFailed', `cannot open drive folder ${path}`, { cause: error })
  }
}

/**
 * Where a folder lies: if it comes back empty with the same device and parent, it was emptied or replaced in place;
 * with others, a disk is not mounted.
 */
export async function placeOf(path: string): Promise<DrivePlace> {
  const real = await realpath(path)
  const own = await stat(real, { bigint: true })
  const parent = await stat(dirname(real), { bigint: true })
  return { path: real, device: String(own.dev), parent: `${parent.dev}:${parent.ino}` }
}

/** The place of a drive's folder, whether or not it is there; `undefined` if its parent is not. */
export async function lookAt(folder: string): Promise<DriveGround | undefined> {
  const path = resolve(folder)
  try {
    const { device, parent } = await placeOf(path)
    const hasDrive = await isFile(join(path, DRIVE_FILE))
    return { device, parent, hasDrive, segments: await countFiles(join(path, SEGMENT_FOLDER)) }
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  try {
    const parent = await stat(await realpath(dirname(path)), { bigint: true })
    return { device: String(parent.dev), parent: `${parent.dev}:${parent.ino}`, hasDrive: false, segments: 0 }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function countFiles(folder: string): Promise<number> {
  try {
    return (await readdir(folder)).length
  } catch (error) {
    if (isMissing(error)) return 0
    throw error
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile()
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

/** Makes missing folders and syncs the parent of each, outermost first. */
async function makeFolderDurably(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  const parents: string[] = []
  for (let made = path; made.length >= first.length; made = dirname(made)) parents.unshift(dirname(made))
  for (const parent of parents) {
    const handle = await open(parent, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}
