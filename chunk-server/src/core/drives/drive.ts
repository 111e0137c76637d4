/** One drive of this server: from its folder to its block store, with what has gone wrong with it. */
import {
  CairnError,
  type Clock,
  type DriveId,
  type DriveRegistration,
  type DriveReport,
  hasCode,
  type Random,
  type ScrubReport,
  toCairnError,
} from '@cairn/protocol'
import type { Disk, StoreUsage } from '../../ports.js'
import type { StoreCounters } from '../segments/write-state.js'
import { Scrub } from '../store/scrub.js'
import { absence, isAbsence } from './drive-absence.js'
import { findDriveIdentity, isDamagedIdentity, openDriveIdentity, writeIdentity } from './drive-identity.js'
import { DriveLook } from './drive-look.js'
import type { DrivePlace, DriveSource, OpenedFolder, UpkeptBlockStore } from './drive-source.js'
import { openPoolEpochs, type PoolEpochs } from './pool-epochs.js'

export interface OpenDriveOptions {
  readonly clusterId: string
  readonly clock: Clock
  readonly random: Random
  /** Time in which every block is read again; 0 or absent: never. */
  readonly scrubMs?: number
  /** Whether the cluster's map names a drive; see `OpenIdentityOptions`. */
  readonly isKnown?: (drive: DriveId) => Promise<boolean>
  /** The epochs that the pools have now, for a drive that has lost what it saw. */
  readonly currentEpochs?: () => Promise<ReadonlyMap<number, number>>
  /** Told of a drive's first failure: it needs a look. */
  readonly onFailure?: (drive: ServedDrive) => void
  /** Told of failures of the scrub, which no caller sees. */
  readonly onTrouble?: (drive: ServedDrive, error: unknown) => void
}

/** `up`; `suspect`: reads go on, writes and deletes are refused; `failed`: it never opened. */
export type DriveCondition = 'up' | 'suspect' | 'failed'

interface DriveSpace {
  readonly capacityBytes: number
  readonly freeBytes: number
}

/** A drive as people see it. */
export interface DriveStatus {
  readonly name: string
  readonly drive?: DriveId
  readonly condition: DriveCondition
  /** Why it is not up. */
  readonly reason?: string
  readonly scrub?: ScrubReport
}

/** Errors that stop the whole server: someone else, or a newer version, owns the folder. */
const FATAL = ['DataFolderInUse', 'FormatTooNew'] as const

/**
 * Opens a drive. What is wrong with it is kept in it; only `DataFolderInUse` and `FormatTooNew` are thrown. `signal` ends
 * an opening that reads many segments; the drive counts as failed then.
 */
export async function openDrive(
  source: DriveSource,
  options: OpenDriveOptions,
  signal?: AbortSignal,
): Promise<ServedDrive> {
  const drive = new ServedDrive(source, options)
  try {
    await drive.open(signal)
  } catch (error) {
    drive.fail(error)
    // A folder that is kept locked could not be opened again.
    await drive.close()
    if (hasCode(error, ...FATAL)) throw error
  }
  return drive
}

/** Times an index is made anew before its drive counts as failed. */
const MENDINGS_MAX = 3
const NO_ANSWER = 'its disk does not answer'
const NO_SPACE = { capacityBytes: 0, freeBytes: 0 } as const
const NO_USAGE: StoreUsage = { liveBytes: 0, deadBytes: 0, blockCount: 0, damagedBlocks: 0 }

/** A drive of this server, whatever its condition. */
export class ServedDrive {
  readonly source: DriveSource
  /** Calls of others that are being answered: upkeep gives way to them. */
  foreground = 0
  private readonly options: OpenDriveOptions
  private readonly ending = new AbortController()
  private folder: OpenedFolder | undefined
  private driveId: DriveId | undefined
  private store: UpkeptBlockStore | undefined
  private poolEpochs: PoolEpochs | undefined
  private failure: CairnError | undefined
  private openedMs = 0
  private scrub: Scrub | undefined
  private mending: Promise<void> | undefined
  private mendings = 0
  private gone = false
  private readonly disk: DriveLook<DriveSpace>
  private checking: Promise<void> | undefined
  private closing: Promise<void> | undefined

  constructor(source: DriveSource, options: OpenDriveOptions) {
    this.source = source
    this.options = options
    this.disk = new DriveLook(options.clock, () => this.lookAtDisk())
  }

  get name(): string {
    return this.source.name
  }

  /** Known as soon as `drive.json` could be read. */
  get id(): DriveId | undefined {
    return this.driveId
  }

  get condition(): DriveCondition {
    if (this.mending !== undefined) return 'suspect'
    if (this.store === undefined) return 'failed'
    return this.failure === undefined ? 'up' : 'suspect'
  }

  /** Why it is not up. */
  get reason(): string | undefined {
    return this.mending === undefined ? this.failure?.message : 'its index is being made anew'
  }

  /** Its folder went away, or became another drive's. */
  get isGone(): boolean {
    return this.gone
  }

  /** It failed while its folder was there: nobody knows what it holds until it is recovered by a new start. */
  get isTainted(): boolean {
    return this.failure !== undefined && this.store !== undefined && !isAbsence(this.failure)
  }

  /** Files of it have gone while its folder stayed: what is left is seen when it is opened again. */
  get isHollow(): boolean {
    return this.condition === 'suspect' && this.failure !== undefined && isAbsence(this.failure)
  }

  /** Where its folder lay when it was opened. */
  get place(): DrivePlace | undefined {
    return this.folder?.place
  }

  /** `DriveFailed` too while its disk does not answer: what is then begun may never end, and a lock stops the process. */
  async open(signal: AbortSignal = this.ending.signal): Promise<void> {
    const { source, options } = this
    const look = new DriveLook(options.clock, () => looksAnswered(source))
    if ((await look.find()) === undefined) throw new CairnError('DriveFailed', NO_ANSWER)
    this.folder = await source.open()
    this.driveId = (await openDriveIdentity(this.folder.disk, options)).driveId
    this.poolEpochs = await openPoolEpochs(this.folder.disk, options.currentEpochs)
    this.use(await this.folder.openStore(this.driveId, { signal }))
  }

  /** The store for reads; `DriveFailed` if the drive never opened. */
  readable(): UpkeptBlockStore {
    if (this.mending !== undefined) throw new CairnError('Busy', `drive ${this.driveId}: ${this.reason}`)
    if (this.store === undefined) throw this.refusal()
    return this.store
  }

  /** The store for writes and deletes; `DriveFailed` once anything has gone wrong. */
  writable(): UpkeptBlockStore {
    const store = this.readable()
    if (this.failure !== undefined) throw this.refusal()
    return store
  }

  /** The highest epoch of `pool` that wrote to this drive; 0 if none did. */
  highestEpoch(pool: number): number {
    return this.poolEpochs?.highest(pool) ?? 0
  }

  /** By which epochs it was written to. */
  get epochs(): PoolEpochs {
    if (this.poolEpochs === undefined) throw this.refusal()
    return this.poolEpochs
  }

  /** Remembers the first failure; the drive takes no more writes until the server starts anew. */
  fail(error: unknown): void {
    this.failure ??= toCairnError(error)
  }

  /** Refuses writes to a drive that failed before it went and came back. */
  distrust(): void {
    this.fail(
      new CairnError('DriveFailed', `drive ${this.driveId} failed before; only a new start recovers it`),
    )
  }

  /** Passes an error of the store on, after noting it if it speaks of the drive. */
  noted(error: unknown): unknown {
    if (hasCode(error, 'DriveFailed')) {
      const isFirst = this.failure === undefined
      this.fail(error)
      if (isFirst) this.options.onFailure?.(this)
    } else if (hasCode(error, 'BlockCorrupt') && error.details.reason === 'index') {
      this.mend()
    }
    return error
  }

  /** Makes a damaged index anew from the segments; calls are `Busy` meanwhile. */
  mend(): void {
    if (this.mending !== undefined || this.store === undefined || this.closing !== undefined) return
    if (this.mendings++ >= MENDINGS_MAX) {
      this.fail(new CairnError('DriveFailed', 'its index is damaged again and again'))
      return
    }
    this.mending = this.openAnew(this.store).finally(() => {
      this.mending = undefined
    })
  }

  /** Finds a damaged index that no call has met. */
  checkIndex(): void {
    if (this.store?.indexDamaged === true) this.mend()
  }

  /** Notes if the folder, or a file of it, has gone or is another's: a disk was pulled, or a folder removed. */
  checkPresence(): Promise<void> {
    this.checking ??= this.lookForFiles().finally(() => {
      this.checking = undefined
    })
    return this.checking
  }

  private async lookForFiles(): Promise<void> {
    if (this.folder === undefined || this.condition === 'failed' || this.gone) return
    try {
      const found = await this.findIdentity(this.folder.disk)
      if (found === this.driveId) return await this.checkSegments()
      const reason = found === undefined ? 'its drive.json has gone' : `it is drive ${found} now`
      this.gone = true
      this.fail(absence(`drive ${this.driveId}: ${reason}`))
    } catch (error) {
      if (!hasCode(error, 'Busy')) this.fail(error)
    }
  }

  private async checkSegments(): Promise<void> {
    const missing = await this.store?.findMissingSegment?.()
    if (missing !== undefined) this.fail(absence(`drive ${this.driveId}: segment ${missing} has gone`))
  }

  /** Counters of the store since it was opened; `undefined` if it never was, or keeps none. */
  counters(): Readonly<StoreCounters> | undefined {
    return this.store?.counters
  }

  /** Syncs of the index since the store was opened. */
  indexSyncs(): number {
    return this.store?.indexSyncs ?? 0
  }

  status(): DriveStatus {
    return {
      name: this.name,
      condition: this.condition,
      ...(this.driveId === undefined ? {} : { drive: this.driveId }),
      ...(this.reason === undefined ? {} : { reason: this.reason }),
      ...(this.scrub === undefined ? {} : { scrub: this.scrub.report() }),
    }
  }

  /** What the drive holds; nothing unless it is open. */
  usage(): StoreUsage {
    return this.store?.usage() ?? NO_USAGE
  }

  /** Of its disk, as last looked at; `undefined` while that does not answer or tell. */
  get space(): DriveSpace | undefined {
    const { last } = this.disk
    return last === NO_SPACE ? undefined : last
  }

  /** After a look at its disk; one that does not answer is not healthy. `undefined` for a drive without an id. */
  async report(): Promise<DriveReport | undefined> {
    if (this.driveId === undefined) return undefined
    const space = await this.disk.find()
    const reason = this.reason ?? (space === undefined ? NO_ANSWER : undefined)
    return {
      drive: this.driveId,
      healthy: space !== undefined && this.condition === 'up',
      ...(space ?? NO_SPACE),
      ...this.usage(),
      ...(this.openedMs === 0 ? {} : { openedMs: this.openedMs }),
      ...(this.gone ? { gone: true } : {}),
      ...(reason === undefined ? {} : { reason }),
      ...(this.scrub === undefined ? {} : { scrub: this.scrub.report() }),
    }
  }

  /** `undefined` for a drive that never opened, or does not answer: it must not take a place in a group. */
  async registration(): Promise<DriveRegistration | undefined> {
    if (this.driveId === undefined || this.folder === undefined) return undefined
    const space = await this.disk.find()
    if (space === undefined || this.condition === 'failed' || this.gone) return undefined
    return { id: this.driveId, capacityBytes: space.capacityBytes, ...this.folder.place }
  }

  /** Closes the store and gives the folder free; an index that is being made anew is left for the next start. Idempotent. */
  close(): Promise<void> {
    this.ending.abort()
    this.closing ??= this.closeInOrder()
    return this.closing
  }

  private async closeInOrder(): Promise<void> {
    await this.mending
    const { store, scrub } = this
    try {
      await scrub?.close()
      await store?.close()
    } finally {
      this.store = undefined
      this.scrub = undefined
      this.folder?.release()
    }
  }

  /** A `drive.json` that has rotted while the drive is in use is written again. */
  private async findIdentity(disk: Disk): Promise<DriveId | undefined> {
    try {
      return (await findDriveIdentity(disk))?.driveId
    } catch (error) {
      if (!isDamagedIdentity(error) || this.driveId === undefined) throw error
      return (await writeIdentity(disk, this.driveId, this.options)).driveId
    }
  }

  private use(store: UpkeptBlockStore): void {
    this.store = store
    const { clock, random, scrubMs = 0, onTrouble } = this.options
    this.openedMs = Math.floor(clock.wallMicros() / 1000)
    const { scrubber, counters } = store
    if (scrubMs === 0 || scrubber === undefined || counters === undefined || this.folder === undefined) return
    this.scrub = new Scrub({
      store: scrubber,
      counters,
      clock,
      random,
      disk: this.folder.disk,
      intervalMs: scrubMs,
      isBusy: () => this.foreground > 0,
      isUp: () => this.condition === 'up',
      onError: (error) => onTrouble?.(this, this.noted(error)),
    })
    this.scrub.start()
  }

  private async openAnew(old: UpkeptBlockStore): Promise<void> {
    const { folder, driveId, scrub } = this
    this.store = undefined
    this.scrub = undefined
    try {
      // What cannot be closed in order is left as a crash would: the segments tell.
      await scrub?.close()
      await old.close().catch(() => undefined)
      if (folder === undefined || driveId === undefined) return
      this.use(await folder.openStore(driveId, { freshIndex: true, signal: this.ending.signal }))
    } catch (error) {
      this.fail(error)
    }
  }

  private async lookAtDisk(): Promise<DriveSpace> {
    await this.checkPresence()
    try {
      return (await this.folder?.disk.space()) ?? NO_SPACE
    } catch (error) {
      this.noted(error)
      return NO_SPACE
    }
  }

  private refusal(): CairnError {
    const reason = this.failure?.message ?? 'it is not open'
    return new CairnError('DriveFailed', `drive ${this.driveId ?? this.name} is out of use: ${reason}`, {
      cause: this.failure,
    })
  }
}

/** Whatever there is to be seen. */
async function looksAnswered(source: DriveSource): Promise<true> {
  await source.look?.().catch(() => undefined)
  return true
}
