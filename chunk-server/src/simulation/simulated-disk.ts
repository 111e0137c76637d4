/**
 * A disk in memory that loses power, fills up and fails on demand. Every call takes at least one turn of the
 * clock, so that a seeded clock gives each seed another order of completion.
 */
import { CairnError, type Clock, type Random } from '@cairn/protocol'
import { checkedFolder, checkedPath, folderOfPath } from '../core/drives/disk-path.js'
import type { Disk, DiskFile, OpenMode } from '../ports.js'
import { type DiskOperation, type FileHost, SimulatedOpenFile } from './simulated-open-file.js'
import { type CrashChoice, SimulatedFile, SimulatedVolume, type UnsyncedWrite } from './simulated-volume.js'

export type { DiskOperation } from './simulated-open-file.js'
export type { CrashChoice } from './simulated-volume.js'

/** One entry of the operation log. */
export interface LoggedOperation {
  readonly kind: DiskOperation
  readonly path: string
  readonly bytes: number
}

export interface SimulatedDiskOptions {
  readonly clock: Clock
  readonly random: Random
  /** Bytes of all files together; unlimited by default. */
  readonly capacityBytes?: number
  /** False: files cannot be written past the page cache. */
  readonly takesDirect?: boolean
  /** Each operation takes a random time up to this; 0 (the default) means one deferred turn. */
  readonly latencyMs?: number
}

export interface FaultOptions {
  readonly lasting?: boolean
  readonly pathEnd?: string
  readonly exhausted?: boolean
}

/** A `Disk` with the switches a test needs. Crashing leaves a new disk; all calls of the old one then fail. */
export interface SimulatedDisk extends Disk {
  readonly log: readonly LoggedOperation[]
  count(kind: DiskOperation): number
  /** Syncs asked of a file after one of its syncs had failed. Must stay 0. */
  readonly syncsAfterFailure: number
  /** Called as each operation is submitted; may crash, fork or throw. */
  onOperation: ((operation: LoggedOperation) => void) | undefined
  /**
   * The `nth` operation of this kind from now on (1 is the next), and if `lasting` all after it, fails with EIO;
   * `exhausted`: for want of descriptors, before it has any effect.
   */
  fail(kind: DiskOperation, nth: number, options?: FaultOptions): void
  setCapacity(capacityBytes: number): void
  /** Cuts the power now. */
  crash(choice: CrashChoice): SimulatedDisk
  /** The disk that a power cut now would leave; this one goes on. */
  fork(choice: CrashChoice): SimulatedDisk
  /** Numbers of the unsynced operations, for the choice `without`. */
  unsynced(): number[]
  /** Current bytes of a file, as a view. */
  peek(path: string): Uint8Array | undefined
  /** Puts content on the disk behind everyone's back, durably; `undefined` removes the file. */
  poke(path: string, content: Uint8Array | undefined): void
  /** Flips the bits of `mask` in one stored byte. */
  flip(path: string, offset: number, mask?: number): void
}

export function createSimulatedDisk(options: SimulatedDiskOptions): SimulatedDisk {
  return new VolumeDisk(options, new SimulatedVolume())
}

interface Fault extends Required<FaultOptions> {
  readonly kind: DiskOperation
  countdown: number
}

class VolumeDisk implements SimulatedDisk, FileHost {
  readonly log: LoggedOperation[] = []
  syncsAfterFailure = 0
  onOperation: ((operation: LoggedOperation) => void) | undefined = undefined
  private readonly options: SimulatedDiskOptions
  private readonly volume: SimulatedVolume
  private readonly opened = new Map<SimulatedFile, number>()
  private faults: Fault[] = []
  private capacityBytes: number
  private dead = false
  private temporaryFiles = 0

  constructor(options: SimulatedDiskOptions, volume: SimulatedVolume) {
    this.options = options
    this.volume = volume
    this.capacityBytes = options.capacityBytes ?? Number.MAX_SAFE_INTEGER
  }

  // Disk.

  async open(path: string, mode: OpenMode): Promise<DiskFile | undefined> {
    checkedPath(path)
    const isDirect = mode === 'createDirect' && this.options.takesDirect !== false
    const creates = mode === 'create' || mode === 'createDirect'
    const file = await this.perform(creates ? 'create' : 'open', path, 0, () => {
      if (creates) return this.createFile(path)
      const found = this.volume.entries.get(path)
      return found === 'folder' ? undefined : found
    })
    if (file === undefined) return undefined
    this.opened.set(file, (this.opened.get(file) ?? 0) + 1)
    return new SimulatedOpenFile(this, file, {
      path,
      writable: mode !== 'read',
      isDirect,
    })
  }

  async replace(path: string, content: Uint8Array): Promise<void> {
    const temporary = `${path}.${++this.temporaryFiles}.tmp`
    await this.remove(temporary)
    const file = await this.open(temporary, 'create')
    try {
      await file?.write([content], 0)
      await file?.sync()
    } catch (error) {
      await this.remove(temporary).catch(() => undefined)
      throw error
    } finally {
      await file?.close()
    }
    await this.rename(temporary, path)
    await this.syncFolder(folderOfPath(path))
  }

  async readSmall(path: string): Promise<Uint8Array | undefined> {
    const file = await this.open(path, 'read')
    if (file === undefined) return undefined
    try {
      const content = Buffer.alloc(await file.size())
      await file.read(content, 0)
      return content
    } finally {
      await file.close()
    }
  }

  async list(folder: string): Promise<readonly string[]> {
    checkedFolder(folder)
    return this.perform('list', folder, 0, () => {
      this.needFolder(folder)
      const paths = [...this.volume.entries.keys()].filter((path) => folderOfPath(path) === folder)
      return paths.map((path) => path.slice(folder === '' ? 0 : folder.length + 1)).sort()
    })
  }

  async makeFolder(path: string): Promise<void> {
    checkedPath(path)
    return this.perform('makeFolder', path, 0, () => {
      if (this.volume.entries.has(path)) return
      this.needFolder(folderOfPath(path))
      this.volume.add(path, 'folder')
    })
  }

  async remove(path: string): Promise<void> {
    checkedPath(path)
    return this.perform('remove', path, 0, () => {
      const entry = this.volume.entries.get(path)
      if (entry !== undefined) this.volume.remove(path, entry)
    })
  }

  async rename(from: string, to: string): Promise<void> {
    checkedPath(from)
    checkedPath(to)
    return this.perform('rename', from, 0, () => {
      const entry = this.volume.entries.get(from)
      if (entry === undefined) throw new CairnError('DriveFailed', `no file ${from} to rename`)
      this.needFolder(folderOfPath(to))
      this.volume.rename(from, to, entry)
    })
  }

  async syncFolder(folder: string): Promise<void> {
    checkedFolder(folder)
    const covered = this.volume.changesIn(folder)
    return this.perform('syncFolder', folder, 0, () => {
      this.needFolder(folder)
      this.volume.makeEntriesDurable(covered)
    })
  }

  async space(): Promise<{ capacityBytes: number; freeBytes: number }> {
    if (this.dead) throw new CairnError('DriveFailed', 'the simulated disk has lost its power')
    return { capacityBytes: this.capacityBytes, freeBytes: this.freeBytes() }
  }

  // Switches.

  count(kind: DiskOperation): number {
    return this.log.filter((operation) => operation.kind === kind).length
  }

  fail(kind: DiskOperation, nth: number, options: FaultOptions = {}): void {
    this.faults.push({
      kind,
      countdown: nth,
      lasting: false,
      pathEnd: '',
      exhausted: false,
      ...options,
    })
  }

  setCapacity(capacityBytes: number): void {
    this.capacityBytes = capacityBytes
  }

  crash(choice: CrashChoice): SimulatedDisk {
    const left = this.fork(choice)
    this.dead = true
    return left
  }

  fork(choice: CrashChoice): SimulatedDisk {
    const options = { ...this.options, capacityBytes: this.capacityBytes }
    return new VolumeDisk(options, this.volume.afterCrash(choice))
  }

  unsynced(): number[] {
    return this.volume.unsynced()
  }

  peek(path: string): Uint8Array | undefined {
    const entry = this.volume.entries.get(path)
    return entry === undefined || entry === 'folder' ? undefined : entry.content.view()
  }

  poke(path: string, content: Uint8Array | undefined): void {
    const old = this.volume.entries.get(path)
    if (old !== undefined) this.volume.remove(path, old)
    if (content !== undefined) {
      const file = new SimulatedFile()
      file.content.write(content, 0)
      file.durable.write(content, 0)
      this.volume.add(path, file)
    }
    this.volume.makeEntriesDurable(this.volume.changesIn(folderOfPath(path)))
  }

  flip(path: string, offset: number, mask = 1): void {
    const entry = this.volume.entries.get(path)
    if (entry === undefined || entry === 'folder') throw new RangeError(`no file ${path}`)
    for (const bytes of [entry.content.view(), entry.durable.view()]) {
      const old = bytes[offset]
      if (old !== undefined) bytes[offset] = old ^ mask
    }
    for (const { bytes, offset: start } of entry.unsynced) {
      const old = bytes[offset - start]
      if (old !== undefined) bytes[offset - start] = old ^ mask
    }
  }

  // For the open files.

  /** Logs the operation, waits its turn, then runs `effect`, unless a fault or the end of power comes first. */
  async perform<T>(
    kind: DiskOperation,
    path: string,
    bytes: number,
    effect: (failed: boolean) => T,
  ): Promise<T> {
    this.needPower()
    const operation = { kind, path, bytes }
    this.log.push(operation)
    this.onOperation?.(operation)
    const fault = this.takeFault(kind, path)
    await this.turn()
    this.needPower()
    if (fault === undefined) return effect(false)
    if (fault.exhausted) throw new CairnError('Busy', `${kind} of ${path} failed (EMFILE)`)
    if (kind === 'write' || kind === 'sync') effect(true)
    throw new CairnError('DriveFailed', `${kind} of ${path} failed (EIO)`, { cause: { code: 'EIO' } })
  }

  freeBytes(): number {
    return Math.max(0, this.capacityBytes - this.volume.usedBytes(this.opened.keys()))
  }

  beginWrite(file: SimulatedFile, bytes: Uint8Array, offset: number): UnsyncedWrite {
    return this.volume.beginWrite(file, bytes, offset)
  }

  randomFraction(): number {
    return this.options.random.fraction()
  }

  closeHandle(file: SimulatedFile): void {
    const handles = (this.opened.get(file) ?? 1) - 1
    if (handles === 0) this.opened.delete(file)
    else this.opened.set(file, handles)
  }

  private createFile(path: string): SimulatedFile {
    if (this.volume.entries.has(path)) throw new CairnError('Internal', `file ${path} exists already`)
    this.needFolder(folderOfPath(path))
    const file = new SimulatedFile()
    this.volume.add(path, file)
    return file
  }

  private needFolder(folder: string): void {
    if (folder === '' || this.volume.entries.get(folder) === 'folder') return
    throw new CairnError('DriveFailed', `no folder ${folder}`)
  }

  private needPower(): void {
    if (this.dead) throw new CairnError('DriveFailed', 'the simulated disk has lost its power')
  }

  private takeFault(kind: DiskOperation, path: string): Fault | undefined {
    let found: Fault | undefined
    for (const fault of this.faults) {
      if (fault.kind !== kind || !path.endsWith(fault.pathEnd)) continue
      fault.countdown--
      if (fault.countdown === 0 || (fault.lasting && fault.countdown < 0)) found ??= fault
    }
    return found
  }

  private turn(): Promise<void> {
    const { clock, random, latencyMs = 0 } = this.options
    return new Promise((resolve) => {
      if (latencyMs === 0) clock.defer(resolve)
      else clock.setTimer(random.fraction() * latencyMs, resolve)
    })
  }
}
