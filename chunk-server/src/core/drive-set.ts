import { CairnError, type DriveId, type DriveRegistration, type DriveReport } from '@cairn/protocol'
import {
  type DriveSource,
  type DriveStatus,
  type OpenDriveOptions,
  openDrive,
  type ServedDrive,
} from './drive.js'
import { staleMap } from './pool-epochs.js'

/** All drives of one server. One that fails leaves the others alone. */
export interface DriveSet {
  /** `NoSuchDrive` for a drive this server does not own. */
  get(drive: DriveId): ServedDrive
  /**
   * Admits a write by `epoch` of `pool` to `drive`; resolves once the epoch is durable there. `StaleClusterMap` if any
   * drive of this server has seen a higher one.
   */
  admit(drive: ServedDrive, pool: number, epoch: number): Promise<void> | undefined
  all(): readonly ServedDrive[]
  status(): DriveStatus[]
  /** Of all drives with an id, after a look whether their folders are still there. */
  reports(): Promise<DriveReport[]>
  registrations(): Promise<DriveRegistration[]>
  close(): Promise<void>
}

/** Opens all drives at once. `DataFolderInUse` and `FormatTooNew` of any closes all and is thrown. */
export async function openDriveSet(
  sources: readonly DriveSource[],
  options: OpenDriveOptions,
): Promise<DriveSet> {
  const results = await Promise.allSettled(sources.map((source) => openDrive(source, options)))
  const drives = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const refused = results.find((result) => result.status === 'rejected')
  if (refused === undefined) return new OpenDriveSet(drives)
  await closeAll(drives)
  throw refused.reason
}

class OpenDriveSet implements DriveSet {
  private readonly drives: readonly ServedDrive[]
  private readonly byId = new Map<DriveId, ServedDrive>()

  constructor(drives: readonly ServedDrive[]) {
    this.drives = drives
    for (const drive of drives) this.enter(drive)
  }

  get(drive: DriveId): ServedDrive {
    const found = this.byId.get(drive)
    if (found === undefined) throw new CairnError('NoSuchDrive', `this server has no drive ${drive}`)
    return found
  }

  admit(drive: ServedDrive, pool: number, epoch: number): Promise<void> | undefined {
    for (const other of this.drives) {
      const highest = other.highestEpoch(pool)
      if (highest > epoch) throw staleMap({ pool, epoch, highest })
    }
    return drive.admit(pool, epoch)
  }

  all(): readonly ServedDrive[] {
    return this.drives
  }

  status(): DriveStatus[] {
    return this.drives.map((drive) => drive.status())
  }

  async reports(): Promise<DriveReport[]> {
    const reports = await Promise.all(
      this.drives.map(async (drive) => {
        await drive.checkPresence()
        return this.isEntered(drive) ? drive.report() : undefined
      }),
    )
    return reports.filter((report) => report !== undefined)
  }

  async registrations(): Promise<DriveRegistration[]> {
    const entered = this.drives.filter((drive) => this.isEntered(drive))
    const registrations = await Promise.all(entered.map((drive) => drive.registration()))
    return registrations.filter((registration) => registration !== undefined)
  }

  close(): Promise<void> {
    return closeAll(this.drives)
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

async function closeAll(drives: readonly ServedDrive[]): Promise<void> {
  const results = await Promise.allSettled(drives.map((drive) => drive.close()))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
