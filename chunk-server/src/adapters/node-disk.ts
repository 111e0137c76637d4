/**
 * One folder of a real file system. Callback API throughout: promises of node:fs cost several times the CPU
 * (open + read + close: 60 µs against 7 µs synchronously). A write that the file system cuts short is continued,
 * because ENOSPC shows first as a short write without an error.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { allocateAligned, CairnError, DIRECT_BYTES, hasCode } from '@cairn/protocol'
import { checkedFolder, checkedPath, folderOfPath } from '../core/drives/disk-path.js'
import type { Disk, DiskFile, OpenMode } from '../ports.js'

/**
 * One buffer up to this size is written in the turn of the call: into the page cache, at 0.2 µs per KiB or a little
 * more, where a thread of the pool costs 20 µs to wake, and copies out of the cache of another core: profiles show 1.3
 * to 3 times the CPU for each page. A batch of 64 writers of 4 KiB has some 280 KiB. The log writes a batch only after
 * the sync of the one before it, so that no write waits behind a drive that hangs.
 */
const WRITE_NOW_BYTES_MAX = 1024 * 1024

/** Buffers per writev call (IOV_MAX of Linux). */
const WRITE_BUFFERS_MAX = 1024

export interface NodeDiskOptions {
  /** `none` skips every sync: for throw-away test servers only. */
  readonly durability: 'fsync' | 'none'
}

/** A disk over an existing folder. Nothing is touched before the first call. */
export function createNodeDisk(folder: string, options: NodeDiskOptions): Disk {
  const syncs = options.durability === 'fsync'
  const inside = (path: string): string => (path === '' ? folder : join(folder, path))
  let probing: Promise<boolean> | undefined
  async function open(path: string, mode: OpenMode): Promise<DiskFile | undefined> {
    const file = inside(checkedPath(path))
    if (mode !== 'createDirect') return openFile(file, mode, syncs)
    probing ??= syncs ? takesDirect(inside(`${folderOfPath(path)}/${DIRECT_PROBE}`)) : Promise.resolve(false)
    return openFile(file, (await probing) ? mode : 'create', syncs)
  }
  const disk: Disk = {
    open,
    replace: (path, content) => replaceFile(disk, checkedPath(path), content),
    readSmall: (path) => readWhole(inside(checkedPath(path))),
    list: (path) => run('list', (done) => fs.readdir(inside(checkedFolder(path)), done)),
    makeFolder: async (path) => {
      await run<string | undefined>('mkdir', (done) =>
        fs.mkdir(inside(checkedPath(path)), { recursive: true, mode: 0o700 }, done),
      )
    },
    remove: (path) => removeFile(inside(checkedPath(path))),
    rename: (from, to) =>
      run('rename', (done) => fs.rename(inside(checkedPath(from)), inside(checkedPath(to)), done)),
    syncFolder: (path) => (syncs ? syncFolder(inside(checkedFolder(path))) : Promise.resolve()),
    space: () => spaceOf(folder),
  }
  return disk
}

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void

/** Turns one callback call into a promise and its error into one of ours. */
function run<T>(what: string, start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => {
      if (error === null) resolve(value)
      else reject(diskError(what, error))
    })
  })
}

const FULL: readonly string[] = ['ENOSPC', 'EDQUOT']
/** Not the drive's fault: the process has run out of descriptors or memory. */
const EXHAUSTED: readonly string[] = ['EMFILE', 'ENFILE', 'ENOMEM']

function diskError(what: string, error: NodeJS.ErrnoException): CairnError {
  const message = `${what} failed: ${error.message}`
  const code = error.code ?? ''
  if (FULL.includes(code)) return new CairnError('DriveFull', message, { cause: error })
  if (EXHAUSTED.includes(code)) return new CairnError('Busy', message, { cause: error })
  if (code === 'EEXIST') return new CairnError('Internal', message, { cause: error })
  return new CairnError('DriveFailed', message, { cause: error })
}

const OPEN_FLAGS = {
  read: fs.constants.O_RDONLY,
  write: fs.constants.O_RDWR,
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL,
  createDirect:
    fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | (fs.constants.O_DIRECT ?? 0),
} as const

/** Written and removed once, to see whether the file system takes writes past the page cache. */
const DIRECT_PROBE = 'direct-probe.tmp'

/** Some file systems refuse at the open, some at the first write, some know nothing of it: all answer EINVAL. */
function takesDirect(path: string): Promise<boolean> {
  if (fs.constants.O_DIRECT === undefined) return Promise.resolve(false)
  const flags = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_DIRECT | fs.constants.O_NOFOLLOW
  return new Promise((resolve) => {
    fs.open(path, flags, 0o600, (refused, descriptor) => {
      if (refused !== null) return resolve(false)
      fs.write(descriptor, allocateAligned(DIRECT_BYTES), 0, DIRECT_BYTES, 0, (error) => {
        fs.close(descriptor, () => fs.unlink(path, () => resolve(error === null)))
      })
    })
  })
}

function openFile(path: string, mode: OpenMode, syncs: boolean): Promise<DiskFile | undefined> {
  return new Promise((resolve, reject) => {
    fs.open(path, OPEN_FLAGS[mode] | fs.constants.O_NOFOLLOW, 0o600, (error, descriptor) => {
      if (error === null) resolve(new NodeDiskFile(descriptor, { syncs, isDirect: mode === 'createDirect' }))
      else if (error.code === 'ENOENT' && (mode === 'read' || mode === 'write')) resolve(undefined)
      else reject(diskError('open', error))
    })
  })
}

type Finish = (error: CairnError | undefined) => void

/** A descriptor is closed only after its last running call, lest the kernel gives its number to another file. */
class NodeDiskFile implements DiskFile {
  readonly isDirect: boolean
  private readonly descriptor: number
  private readonly syncs: boolean
  private running = 0
  private closed = false
  private whenIdle: (() => void) | undefined

  constructor(descriptor: number, how: { readonly syncs: boolean; readonly isDirect: boolean }) {
    this.descriptor = descriptor
    this.syncs = how.syncs
    this.isDirect = how.isDirect
  }

  read(into: Uint8Array, offset: number): Promise<number> {
    return this.use((finish) => this.readOn(into, { offset, filled: 0 }, finish))
  }

  readNow(into: Uint8Array, offset: number): number {
    if (this.closed) throw new CairnError('Internal', 'the file is closed')
    try {
      let filled = 0
      while (filled < into.length) {
        const count = fs.readSync(this.descriptor, into, filled, into.length - filled, offset + filled)
        if (count === 0) break
        filled += count
      }
      return filled
    } catch (error) {
      throw diskError('read', error as NodeJS.ErrnoException)
    }
  }

  write(buffers: readonly Uint8Array[], offset: number): Promise<void> {
    const only = buffers.length === 1 ? buffers[0] : undefined
    return this.use((finish) => {
      const ended: Finish = (error) => finish(error, undefined)
      if (buffers.length === 0) ended(undefined)
      else if (only === undefined) this.writeMany(buffers, offset, ended)
      else if (only.length <= WRITE_NOW_BYTES_MAX && !this.isDirect) this.writeNow(only, offset, ended)
      else this.writeOne(only, offset, ended)
    })
  }

  sync(): Promise<void> {
    return this.use((finish) => {
      if (!this.syncs) finish(undefined, undefined)
      else {
        fs.fdatasync(this.descriptor, (error) =>
          finish(wrapped('fdatasync', error) ?? this.removal(), undefined),
        )
      }
    })
  }

  /** An open file takes writes and syncs after its name has gone; what it holds ends with the process. */
  private removal(): CairnError | undefined {
    try {
      if (fs.fstatSync(this.descriptor).nlink > 0) return undefined
      const cause = Object.assign(new Error('the file has no name any more'), { code: 'ENOENT' })
      return diskError('fdatasync', cause)
    } catch (error) {
      return diskError('fstat', error as NodeJS.ErrnoException)
    }
  }

  size(): Promise<number> {
    return this.use((finish) => {
      fs.fstat(this.descriptor, (error, stats) => finish(wrapped('fstat', error), stats?.size ?? 0))
    })
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    if (this.running > 0) {
      await new Promise<void>((resolve) => {
        this.whenIdle = resolve
      })
    }
    await run('close', (done) => fs.close(this.descriptor, (error) => done(error ?? null, undefined)))
  }

  private use<T>(start: (finish: (error: CairnError | undefined, value: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(new CairnError('Internal', 'the file is closed'))
        return
      }
      this.running++
      start((error, value) => {
        this.running--
        if (this.running === 0) this.whenIdle?.()
        if (error === undefined) resolve(value)
        else reject(error)
      })
    })
  }

  private readOn(
    into: Uint8Array,
    at: { offset: number; filled: number },
    finish: (error: CairnError | undefined, filled: number) => void,
  ): void {
    const { offset, filled } = at
    fs.read(this.descriptor, into, filled, into.length - filled, offset + filled, (error, count) => {
      if (error !== null) finish(diskError('read', error), 0)
      else if (count === 0 || filled + count === into.length) finish(undefined, filled + count)
      else this.readOn(into, { offset, filled: filled + count }, finish)
    })
  }

  private writeNow(bytes: Uint8Array, offset: number, finish: Finish): void {
    let count: number
    try {
      count = fs.writeSync(this.descriptor, bytes, 0, bytes.length, offset)
    } catch (error) {
      finish(diskError('write', error as NodeJS.ErrnoException))
      return
    }
    if (count === bytes.length) finish(undefined)
    else this.writeOne(bytes.subarray(count), offset + count, finish)
  }

  private writeOne(bytes: Uint8Array, offset: number, finish: Finish): void {
    fs.write(this.descriptor, bytes, 0, bytes.length, offset, (error, count) => {
      if (error !== null) finish(diskError('write', error))
      else if (count === bytes.length) finish(undefined)
      else if (count === 0) finish(new CairnError('DriveFailed', 'a write made no progress'))
      else this.writeOne(bytes.subarray(count), offset + count, finish)
    })
  }

  private writeMany(buffers: readonly Uint8Array[], offset: number, finish: Finish): void {
    const batch = buffers.length > WRITE_BUFFERS_MAX ? buffers.slice(0, WRITE_BUFFERS_MAX) : buffers
    fs.writev(this.descriptor, batch, offset, (error, count) => {
      const left = remainder(buffers, count)
      if (error !== null) finish(diskError('writev', error))
      else if (left.length === 0) finish(undefined)
      else if (left.length === buffers.length && count === 0)
        finish(new CairnError('DriveFailed', 'a write made no progress'))
      else this.writeMany(left, offset + count, finish)
    })
  }
}

function wrapped(what: string, error: NodeJS.ErrnoException | null): CairnError | undefined {
  return error === null ? undefined : diskError(what, error)
}

/** What is left of `buffers` after the first `count` bytes; empty buffers go too. */
function remainder(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  const left: Uint8Array[] = []
  let skipped = count
  for (const buffer of buffers) {
    if (skipped < buffer.length) left.push(skipped > 0 ? buffer.subarray(skipped) : buffer)
    skipped = Math.max(0, skipped - buffer.length)
  }
  return left
}

/** Two replacements under way never share a temporary file; one that lies there already is a crashed process's. */
let temporaryFiles = 0

async function replaceFile(disk: Disk, path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.${++temporaryFiles}.tmp`
  try {
    await disk.remove(temporary)
    const file = await disk.open(temporary, 'create')
    try {
      await file?.write([content], 0)
      await file?.sync()
    } finally {
      await file?.close()
    }
    await disk.rename(temporary, path)
  } catch (error) {
    await disk.remove(temporary).catch(() => undefined)
    throw error
  }
  await disk.syncFolder(folderOfPath(path))
}

async function readWhole(path: string): Promise<Uint8Array | undefined> {
  const file = await openFile(path, 'read', false)
  if (file === undefined) return undefined
  try {
    const content = Buffer.alloc(await file.size())
    return content.subarray(0, await file.read(content, 0))
  } finally {
    await file.close()
  }
}

function removeFile(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.unlink(path, (error) => {
      if (error === null || error.code === 'ENOENT') resolve()
      else reject(diskError('unlink', error))
    })
  })
}

async function syncFolder(path: string): Promise<void> {
  const descriptor = await run<number>('open folder', (done) => fs.open(path, 'r', done))
  try {
    await run('fsync folder', (done) => fs.fsync(descriptor, (error) => done(error, undefined)))
  } catch (cause) {
    // Whatever its reason: what was lost by it no second sync brings back.
    throw hasCode(cause, 'Busy') ? new CairnError('DriveFailed', cause.message, { cause }) : cause
  } finally {
    await run('close', (done) => fs.close(descriptor, (error) => done(error ?? null, undefined)))
  }
}

async function spaceOf(folder: string): Promise<{ capacityBytes: number; freeBytes: number }> {
  const stats = await run<fs.StatsFs>('statfs', (done) => fs.statfs(folder, done))
  return { capacityBytes: stats.blocks * stats.bsize, freeBytes: stats.bavail * stats.bsize }
}
