import {
  CairnError,
  type Clock,
  type DriveId,
  type DriveRegistration,
  type DriveReport,
  inTime,
} from '@cairn/protocol'
import { type DriveStatus, type OpenDriveOptions, openDrive, type ServedDrive } from './drive.js'
import { DriveSlot } from './drive-slot.js'
import type { DriveSource } from './drive-source.js'
import { staleMap } from './pool-epochs.js'

/** Time between two looks at the folders. */
const LOOK_MS = 2_000

/** What a drive gets to close; a disk that hangs is then left as a crash would leave it, its folder locked. */
const CLOSE_MS = 5_000

/** All drives of one server. One that fails leaves the others alone. */
export interface DriveSet {
  /** `NoSuchDrive` for a drive this server does not own. */
  get(drive: DriveId): ServedDrive
  /**
   * Admits a write by `epoch` of `pool` to `drive`; resolves once the epoch is durable there. `StaleClusterMap` if any
   * drive of this server has seen a higher one.
   */
  admit(drive: ServedDrive, pool: number, epoch: number): Promise<void> | undefined
  /** The write would be admitted without anything being written for it. */
  isAdmitted(drive: ServedDrive, pool: number, epoch: number): boolean
  all(): readonly ServedDrive[]
  status(): DriveStatus[]
  /** Of all drives with an id, after a look whether their folders are still there. No disk that hangs delays them. */
  reports(): Promise<DriveReport[]>
  registrations(): Promise<DriveRegistration[]>
  /** Begins to look after the drives: those that went, came back, or did not open. */
  watch(): void
  /** Resolves in bounded time: `onTrouble` is told of a drive that does not close. */
  close(): Promise<void>
}

export interface DriveSetOptions extends OpenDriveOptions {
  /** A place holds another drive, or its drive is in another condition; not told of the first opening. */
  readonly onChange?: (drive: ServedDrive) => void
}

/** Opens all drives at once. `DataFolderInUse` and `FormatTooNew` of any closes all and is thrown. */
export async function openDriveSet(
  sources: readonly DriveSource[],
  options: DriveSetOptions,
): Promise<DriveSet> {
  let set: OpenDriveSet | undefined
  const open: OpenDriveOptions = {
    ...options,
    onFailure: (drive) => set?.hurry(drive),
  }
  const results = await Promise.allSettled(sources.map((source) => openDrive(source, open)))
  const drives = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const refused = results.find((result) => result.status === 'rejected')
  if (refused !== undefined) {
    await closeAll(drives)
    throw refused.reason
  }
  set = new OpenDriveSet(drives, { ...options, open })
  return set
}

class OpenDriveSet implements DriveSet {
  private readonly clock: Clock
  private readonly onTrouble: DriveSetOptions['onTrouble']
  private readonly slots: readonly DriveSlot[]
  private readonly byId = new Map<DriveId, ServedDrive>()
  private cancelLook: (() => void) | undefined
  private closed = false

  constructor(
    drives: readonly ServedDrive[],
    options: DriveSetOptions & { readonly open: OpenDriveOptions },
  ) {
    this.clock = options.clock
    this.onTrouble = options.onTrouble
    const { clock, open } = options
    const onChange = (drive: ServedDrive): void => {
      this.enterAll()
      options.onChange?.(drive)
    }
    this.slots = drives.map((drive) => new DriveSlot({ source: drive.source, open, clock, onChange }, drive))
    this.enterAll()
  }

  get(drive: DriveId): ServedDrive {
    const found = this.byId.get(drive)
    if (found === undefined) throw new CairnError('NoSuchDrive', `this server has no drive ${drive}`)
    return found
  }

  admit(drive: ServedDrive, pool: number, epoch: number): Promise<void> | undefined {
    for (const { drive: other } of this.slots) {
      const highest = other.highestEpoch(pool)
      if (highest > epoch) throw staleMap({ pool, epoch, highest })
    }
    return drive.epochs.admit(pool, epoch)
  }

  isAdmitted(drive: ServedDrive, pool: number, epoch: number): boolean {
    for (const { drive: other } of this.slots) if (other.highestEpoch(pool) > epoch) return false
    return drive.epochs.isDurable(pool, epoch)
  }

  all(): readonly ServedDrive[] {
    return this.slots.map((slot) => slot.drive)
  }

  status(): DriveStatus[] {
    return this.slots.map(({ drive }) => drive.status())
  }

  async reports(): Promise<DriveReport[]> {
    const reports = await Promise.all(
      this.all().map(async (drive) => {
        const report = await drive.report()
        return this.isEntered(drive) ? report : undefined
      }),
    )
    return reports.filter((report) => report !== undefined)
  }

  async registrations(): Promise<DriveRegistration[]> {
    const entered = this.all().filter((drive) => this.isEntered(drive))
    const registrations = await Promise.all(entered.map((drive) => drive.registration()))
    return registrations.filter((registration) => registration !== undefined)
  }

  watch(): void {
    this.cancelLook ??= this.clock.setTimer(LOOK_MS, () => this.lookAtAll())
  }

  /** Looks at a drive that has just failed: its folder may have gone. */
  hurry(drive: ServedDrive): void {
    if (this.cancelLook === undefined || this.closed) return
    void this.slots.find((slot) => slot.drive === drive)?.tend()
  }

  async close(): Promise<void> {
    this.closed = true
    this.cancelLook?.()
    await closeAll(this.slots.map((slot) => ({ close: () => this.closeSlot(slot) })))
  }

  private async closeSlot(slot: DriveSlot): Promise<void> {
    const closing = slot.close().then(() => true)
    if (await inTime(this.clock, CLOSE_MS, closing)) return
    this.onTrouble?.(slot.drive, new CairnError('DeadlineExceeded', 'it does not close: its disk hangs'))
  }

  /** The next time comes whether or not a look at one of them ends: its disk may hang. */
  private lookAtAll(): void {
    for (const slot of this.slots) slot.tend().catch(() => undefined)
    this.cancelLook = this.clock.setTimer(LOOK_MS, () => this.lookAtAll())
  }

  private enterAll(): void {
    this.byId.clear()
    for (const { drive } of this.slots) this.enter(drive)
  }

  /** Of two folders with one id, copies of each other, only the first counts. */
  private enter(drive: ServedDrive): void {
    if (drive.id === undefined) return
    const twin = this.byId.get(drive.id)
    if (twin === undefined) this.byId.set(drive.id, drive)
    else drive.fail(new CairnError('DriveFailed', `${drive.name} has the drive id of ${twin.name}`))
  }

  private isEntered(drive: ServedDrive): boolean {
    return drive.id !== undefined && this.byId.get(drive.id) === drive
  }
}

async function closeAll(drives: readonly { close(): Promise<void> }[]): Promise<void> {
  const results = await Promise.allSettled(drives.map((drive) => drive.close()))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
