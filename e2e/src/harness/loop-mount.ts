/** A small real ext4 file system in a file, mounted by loop device; only root can have one. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { run, runOk } from './run.js'
import { hasTool } from './tools.js'

export interface LoopMount {
  readonly path: string
  unmount(): Promise<void>
}

const UNMOUNT_TRIES = 50
const UNMOUNT_PAUSE_MS = 100

/** Whether this process can mount. */
export async function canMountLoop(): Promise<boolean> {
  return process.getuid?.() === 0 && (await hasTool('losetup')) && (await hasTool('mkfs.ext4'))
}

/** Makes a file system of `mebibytes` below `folder` and mounts it there. Root's reserve is left out. */
export async function mountLoop(folder: string, mebibytes: number): Promise<LoopMount> {
  const image = join(folder, 'disk.ext4')
  const path = join(folder, 'mount')
  await mkdir(path, { recursive: true })
  await runOk('truncate', ['-s', `${mebibytes}M`, image])
  await runOk('mkfs.ext4', ['-q', '-F', '-m', '0', image])
  await runOk('mount', ['-o', 'loop', image, path])
  return { path, unmount: () => unmount(path) }
}

/** A process that was killed may hold the mount for a moment longer. */
async function unmount(path: string): Promise<void> {
  for (let left = UNMOUNT_TRIES; ; left--) {
    const { status, stderr } = await run('umount', [path])
    if (status === 0) return
    if (left === 0) throw new Error(`cannot unmount ${path}: ${stderr}`)
    await new Promise((resolve) => setTimeout(resolve, UNMOUNT_PAUSE_MS))
  }
}
