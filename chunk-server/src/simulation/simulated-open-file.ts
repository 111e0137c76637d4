import { CairnError, DIRECT_BYTES, isAligned, sameBytes } from '@cairn/protocol'
import type { DiskFile } from '../ports.js'
import type { SimulatedFile, UnsyncedWrite } from './simulated-volume.js'

/** Everything a disk is asked to do; `replace` appears as the steps it is made of. */
export type DiskOperation =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'sync'
  | 'close'
  | 'list'
  | 'makeFolder'
  | 'remove'
  | 'rename'
  | 'syncFolder'

/** What an open file needs of its disk. */
export interface FileHost {
  /** Logs the operation, waits its turn, then runs `effect`, unless a fault or the end of power comes first. */
  perform<T>(kind: DiskOperation, path: string, bytes: number, effect: (failed: boolean) => T): Promise<T>
  freeBytes(): number
  beginWrite(file: SimulatedFile, bytes: Uint8Array, offset: number): UnsyncedWrite
  randomFraction(): number
  closeHandle(file: SimulatedFile): void
  syncsAfterFailure: number
}

/** One opening of a file on a simulated disk. */
export class SimulatedOpenFile implements DiskFile {
  readonly isDirect: boolean
  private readonly disk: FileHost
  private readonly file: SimulatedFile
  private readonly path: string
  private readonly writable: boolean
  private closed = false

  constructor(
    disk: FileHost,
    file: SimulatedFile,
    how: { path: string; writable: boolean; isDirect: boolean },
  ) {
    this.disk = disk
    this.file = file
    this.path = how.path
    this.writable = how.writable
    this.isDirect = how.isDirect
  }

  async read(into: Uint8Array, offset: number): Promise<number> {
    this.needOpen(false)
    return this.disk.perform('read', this.path, into.length, () => {
      const found = this.file.content.view().subarray(offset, offset + into.length)
      into.set(found)
      return found.length
    })
  }

  async write(buffers: readonly Uint8Array[], offset: number): Promise<void> {
    this.needOpen(true)
    if (this.isDirect) this.needAligned(buffers, offset)
    const bytes = Buffer.concat(buffers)
    const fits = (): boolean => offset + bytes.length - this.file.content.size <= this.disk.freeBytes()
    const write = fits() ? this.disk.beginWrite(this.file, bytes, offset) : undefined
    await this.disk.perform('write', this.path, bytes.length, (failed) => {
      if (!sameBytes(bytes, Buffer.concat(buffers)))
        throw new Error(`bytes changed while written: ${this.path}`)
      if (failed) this.keepPart(bytes, offset, this.partOf(bytes), write)
      else if (write !== undefined && fits()) this.complete(write)
      else this.fill(bytes, offset, write)
    })
  }

  async sync(): Promise<void> {
    this.needOpen(true)
    if (this.file.syncFailed) this.disk.syncsAfterFailure++
    const covered = new Set(this.file.unsynced.filter((write) => write.completed))
    return this.disk.perform('sync', this.path, 0, (failed) => {
      if (!failed) return this.file.makeDurable(covered)
      this.file.syncFailed = true
      for (const write of covered) write.doomed = true
    })
  }

  async size(): Promise<number> {
    this.needOpen(false)
    return this.file.content.size
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.disk
      .perform('close', this.path, 0, () => this.disk.closeHandle(this.file))
      .catch(() => undefined)
  }

  /** What fits goes to the disk, as a short write; the rest is `DriveFull`. */
  private fill(bytes: Uint8Array, offset: number, whole?: UnsyncedWrite): void {
    const fitting = Math.max(0, this.file.content.size + this.disk.freeBytes() - offset)
    this.keepPart(bytes, offset, Math.min(fitting, bytes.length), whole)
    if (fitting < bytes.length) throw new CairnError('DriveFull', `no space left for ${this.path}`)
  }

  private keepPart(bytes: Uint8Array, offset: number, keptBytes: number, whole?: UnsyncedWrite): void {
    if (whole !== undefined) this.file.unsynced.splice(this.file.unsynced.indexOf(whole), 1)
    if (keptBytes > 0) this.complete(this.disk.beginWrite(this.file, bytes.subarray(0, keptBytes), offset))
  }

  private partOf(bytes: Uint8Array): number {
    return Math.floor(this.disk.randomFraction() * bytes.length)
  }

  private complete(write: UnsyncedWrite): void {
    this.file.content.write(write.bytes, write.offset)
    write.completed = true
  }

  /** As the kernel does: EINVAL. */
  private needAligned(buffers: readonly Uint8Array[], offset: number): void {
    const isRight = (bytes: Uint8Array): boolean => bytes.length % DIRECT_BYTES === 0 && isAligned(bytes)
    if (offset % DIRECT_BYTES === 0 && buffers.every(isRight)) return
    throw new CairnError('DriveFailed', `a direct write of ${this.path} is not aligned`)
  }

  private needOpen(writing: boolean): void {
    if (this.closed) throw new CairnError('Internal', `file ${this.path} is closed`)
    if (writing && !this.writable) throw new CairnError('Internal', `file ${this.path} is open for reading`)
  }
}
