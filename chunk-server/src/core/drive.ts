/** One drive of this server: from its folder to its block store, with what has gone wrong with it. */
import {
  CairnError,
  type Clock,
  type DriveId,
  type DriveRegistration,
  type DriveReport,
  hasCode,
  type Random,
  toCairnError,
} from '@cairn/protocol'
import type { BlockStore, Disk } from '../ports.js'
import { findDriveIdentity, openDriveIdentity } from './drive-identity.js'
import { openPoolEpochs, type PoolEpochs } from './pool-epochs.js'
import type { StoreCounters } from './write-state.js'

/** Where a drive's folder lies: its path, `st_dev`, and device and inode of the parent folder. */
export interface DrivePlace {
  readonly path: string
  readonly device: string
  readonly parent: string
}

/** A block store with the upkeep that the server drives. */
export interface UpkeptBlockStore extends BlockStore {
  /** One bounded run that gives space of deleted blocks back. */
  compactOnce?(): Promise<unknown>
  /** What it did since it was opened. */
  readonly counters?: Readonly<StoreCounters>
}

/** A drive's folder, opened and locked. */
export interface OpenedFolder {
  readonly disk: Disk
  readonly place: DrivePlace
  openStore(drive: DriveId): Promise<UpkeptBlockStore>
  /** Gives the folder free. */
  release(): void
}

/** A configured drive that is not open yet. */
export interface DriveSource {
  /** How people know it. */
  readonly name: string
  open(): Promise<OpenedFolder>
}

export interface OpenDriveOptions {
  readonly clusterId: string
  readonly clock: Clock
  readonly random: Random
}

/** `up`; `suspect`: reads go on, writes and deletes are refused; `failed`: it never opened. */
export type DriveCondition = 'up' | 'suspect' | 'failed'

/** A drive as people see it. */
export interface DriveStatus {
  readonly name: string
  readonly drive?: DriveId
  readonly condition: DriveCondition
  /** Why it is not up. */
  readonly reason?: string
}

/** Errors that stop the whole server: someone else, or a newer version, owns the folder. */
const FATAL = ['DataFolderInUse', 'FormatTooNew'] as const

/** Opens a drive. What is wrong with it is kept in it; only `DataFolderInUse` and `FormatTooNew` are thrown. */
export async function openDrive(source: DriveSource, options: OpenDriveOptions): Promise<ServedDrive> {
  const drive = new ServedDrive(source.name)
  try {
    await drive.open(source, options)
  } catch (error) {
    drive.fail(error)
    if (!hasCode(error, ...FATAL)) return drive
    await drive.close()
    throw error
  }
  return drive
}

/** A drive of this server, whatever its condition. */
export class ServedDrive {
  readonly name: string
  private folder: OpenedFolder | undefined
  private driveId: DriveId | undefined
  private store: UpkeptBlockStore | undefined
  private poolEpochs: PoolEpochs | undefined
  private failure: CairnError | undefined

  constructor(name: string) {
    this.name = name
  }

  /** Known as soon as `drive.json` could be read. */
  get id(): DriveId | undefined {
    return this.driveId
  }

  get condition(): DriveCondition {
    if (this.store === undefined) return 'failed'
    return this.failure === undefined ? 'up' : 'suspect'
  }

  async open(source: DriveSource, options: OpenDriveOptions): Promise<void> {
    this.folder = await source.open()
    this.driveId = (await openDriveIdentity(this.folder.disk, options)).driveId
    this.poolEpochs = await openPoolEpochs(this.folder.disk)
    this.store = await this.folder.openStore(this.driveId)
  }

  /** The store for reads; `DriveFailed` if the drive never opened. */
  readable(): UpkeptBlockStore {
    if (this.store === undefined) throw this.refusal()
    return this.store
  }

  /** The store for writes and deletes; `DriveFailed` once anything has gone wrong. */
  writable(): UpkeptBlockStore {
    if (this.store === undefined || this.failure !== undefined) throw this.refusal()
    return this.store
  }

  /** The highest epoch of `pool` that wrote to this drive; 0 if none did. */
  highestEpoch(pool: number): number {
    return this.poolEpochs?.highest(pool) ?? 0
  }

  /** See `PoolEpochs.admit`. */
  admit(pool: number, epoch: number): Promise<void> | undefined {
    if (this.poolEpochs === undefined) throw this.refusal()
    return this.poolEpochs.admit(pool, epoch)
  }

  /** Remembers the first failure; the drive takes no more writes until the server starts anew. */
  fail(error: unknown): void {
    this.failure ??= toCairnError(error)
  }

  /** Passes an error of the store on, after noting it if it speaks of the drive. */
  noted(error: unknown): unknown {
    if (hasCode(error, 'DriveFailed')) this.fail(error)
    return error
  }

  /** Fails the drive if its folder has gone or is another's: a disk was pulled, or a folder removed. */
  async checkPresence(): Promise<void> {
    if (this.folder === undefined || this.condition !== 'up') return
    try {
      const found = await findDriveIdentity(this.folder.disk)
      if (found?.driveId === this.driveId) return
      const reason = found === undefined ? 'its drive.json has gone' : `it is drive ${found.driveId} now`
      this.fail(
        new CairnError('DriveFailed', `drive ${this.driveId}: ${reason}`, { details: { reason: 'gone' } }),
      )
    } catch (error) {
      if (!hasCode(error, 'Busy')) this.fail(error)
    }
  }

  /** Counters of the store since it was opened; `undefined` if it never was, or keeps none. */
  counters(): Readonly<StoreCounters> | undefined {
    return this.store?.counters
  }

  status(): DriveStatus {
    return {
      name: this.name,
      condition: this.condition,
      ...(this.driveId === undefined ? {} : { drive: this.driveId }),
      ...(this.failure === undefined ? {} : { reason: this.failure.message }),
    }
  }

  /** `undefined` for a drive without an id. */
  async report(): Promise<DriveReport | undefined> {
    if (this.driveId === undefined) return undefined
    const space = await this.space()
    const usage = this.store?.usage() ?? { liveBytes: 0, deadBytes: 0, blockCount: 0, damagedBlocks: 0 }
    return { drive: this.driveId, healthy: this.condition === 'up', ...space, ...usage }
  }

  /** `undefined` for a drive that never opened: it must not take a place in a group. */
  async registration(): Promise<DriveRegistration | undefined> {
    if (this.driveId === undefined || this.folder === undefined || this.store === undefined) return undefined
    const { capacityBytes } = await this.space()
    return { id: this.driveId, capacityBytes, ...this.folder.place }
  }

  async close(): Promise<void> {
    try {
      await this.store?.close()
    } finally {
      this.folder?.release()
    }
  }

  private async space(): Promise<{ capacityBytes: number; freeBytes: number }> {
    try {
      return (await this.folder?.disk.space()) ?? { capacityBytes: 0, freeBytes: 0 }
    } catch (error) {
      this.noted(error)
      return { capacityBytes: 0, freeBytes: 0 }
    }
  }

  private refusal(): CairnError {
    const reason = this.failure?.message ?? 'it is not open'
    return new CairnError('DriveFailed', `drive ${this.driveId ?? this.name} is out of use: ${reason}`, {
      cause: this.failure,
    })
  }
}
