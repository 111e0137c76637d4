/**
 * One configured place for a drive, and the drive that is there now. If the folder goes while the server runs, the
 * drive is closed, and the place is watched:
 *
 * - A disk that comes back with its `drive.json` resumes as the drive it was, unless it had failed before it went.
 * - A folder that is empty or missing becomes a *new* drive at once if device and parent folder are what they were:
 *   then it was removed. Else a disk is not mounted, and nothing is made in its place.
 *
 * A drive that misses files of its own, though its folder is there, is opened again with what is left. Nothing is
 * opened while segments still go.
 *
 * A drive that never opened is tried again, less and less often. One that failed while it was there stays suspect.
 */
import { type Clock, type DriveId, hasCode } from '@cairn/protocol'
import { type OpenDriveOptions, openDrive, type ServedDrive } from './drive.js'
import type { DriveGround, DrivePlace, DriveSource } from './drive-source.js'

/** First pause before a drive that did not open is tried again; doubles up to RETRY_MS_MAX. */
const RETRY_MS = 2_000
const RETRY_MS_MAX = 60_000

export interface DriveSlotOptions {
  readonly source: DriveSource
  readonly open: OpenDriveOptions
  readonly clock: Clock
  /** The slot holds another drive, or the drive is in another condition. */
  readonly onChange: (drive: ServedDrive) => void
}

export class DriveSlot {
  private readonly options: DriveSlotOptions
  private held: ServedDrive
  private place: DrivePlace | undefined
  /** What was told last of the drive that is held; `undefined` while it was not told of at all. */
  private told: string | undefined
  /** Drives that failed while they were here: another opening would hide it. */
  private readonly tainted = new Set<DriveId>()
  private retryAtMs = 0
  private retryMs = RETRY_MS
  /** Segments that were there at the last look; 0 while the drive is open. */
  private segmentsSeen = 0
  private running: Promise<void> | undefined
  private readonly ending = new AbortController()

  constructor(options: DriveSlotOptions, drive: ServedDrive) {
    this.options = options
    this.held = drive
    this.place = drive.place
    this.told = summaryOf(drive)
  }

  get drive(): ServedDrive {
    return this.held
  }

  /** Looks after the drive; joins the look that is under way. Never rejects. */
  tend(): Promise<void> {
    this.running ??= this.look().finally(() => {
      this.running = undefined
    })
    return this.running
  }

  async close(): Promise<void> {
    this.ending.abort()
    await this.running
    await this.held.close()
  }

  private async look(): Promise<void> {
    const { held } = this
    held.checkIndex()
    await held.checkPresence()
    if (held.isGone || held.isHollow || held.condition === 'failed') await this.openAgain()
    this.tellChange()
  }

  private async openAgain(): Promise<void> {
    const nowMs = this.options.clock.monotonicMs()
    if (nowMs < this.retryAtMs) return
    this.leave()
    await this.held.close().catch(() => undefined)
    if (!(await this.mayOpen())) return
    this.retryAtMs = nowMs + this.retryMs
    this.retryMs = Math.min(RETRY_MS_MAX, this.retryMs * 2)
    const drive = await this.open()
    if (drive === undefined) return
    this.held = drive
    this.told = undefined
    if (drive.condition === 'failed') return
    this.place = drive.place
    this.retryMs = RETRY_MS
    this.retryAtMs = 0
    this.segmentsSeen = 0
    if (drive.id !== undefined && this.tainted.has(drive.id)) drive.distrust()
  }

  /** Remembers what is known of a drive that has gone. */
  private leave(): void {
    const { held } = this
    this.place = held.place ?? this.place
    if (held.id !== undefined && held.isTainted) this.tainted.add(held.id)
  }

  private async mayOpen(): Promise<boolean> {
    const { source } = this.options
    if (source.look === undefined) return !this.held.isGone
    try {
      const ground = await source.look()
      if (ground === undefined || this.isChanging(ground)) return false
      if (ground.hasDrive || this.place === undefined) return true
      return ground.device === this.place.device && ground.parent === this.place.parent
    } catch {
      return false
    }
  }

  /** A large folder takes a while to be removed: what is half gone is not opened until it stays as it is. */
  private isChanging({ segments }: DriveGround): boolean {
    const isChanging = segments > 0 && segments !== this.segmentsSeen
    this.segmentsSeen = segments
    return isChanging
  }

  /** `undefined` if someone else has the folder now, or a newer version wrote it: the next look sees more. */
  private async open(): Promise<ServedDrive | undefined> {
    try {
      return await openDrive(this.options.source, this.options.open, this.ending.signal)
    } catch (error) {
      if (hasCode(error, 'DataFolderInUse', 'FormatTooNew')) return undefined
      throw error
    }
  }

  private tellChange(): void {
    const now = summaryOf(this.held)
    if (now === this.told) return
    this.told = now
    this.options.onChange(this.held)
  }
}

function summaryOf(drive: ServedDrive): string {
  return JSON.stringify([drive.id, drive.condition, drive.reason])
}
