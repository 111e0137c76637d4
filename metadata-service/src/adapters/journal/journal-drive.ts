/**
 * The journal on one drive. `follows` means: all frames up to the queue's place are in its files, in one unbroken
 * row behind a checkpoint. It is lost (`waits`) when the drive is away, too slow or in error, and comes back with a
 * checkpoint. After a failed sync the file is never synced again: what it holds then may be less than it seems.
 */
import { constants, type FileHandle, open, readFile, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '@cairn/protocol'
import {
  copiesFolder,
  encodeFileHeader,
  isAbsent,
  journalPath,
  listCopies,
  removeClean,
  syncFolder,
} from './journal-files.js'
import {
  CHECKPOINTS_KEPT,
  RETRY_MS,
  ROOM_BYTES_MIN,
  WRITE_BYTES_MAX,
  WRITE_FRAMES_MAX,
} from './journal-limits.js'
import type { JournalQueue } from './journal-queue.js'

/**
 * `absent`: no drive in the folder; `waits` for a checkpoint; `joins`: the checkpoint is about to be durable;
 * `follows`; `failed`: not before RETRY_MS.
 */
export type JournalState = 'absent' | 'waits' | 'joins' | 'follows' | 'failed'

export interface JournalDriveOptions {
  /** The drive's folder. */
  readonly folder: string
  readonly queue: JournalQueue
  readonly clock: Clock
  /** Told when the drive stops following, with the reason. */
  readonly onLost: (folder: string, error: unknown) => void
}

/** The journal file that is written. */
interface OpenJournal {
  readonly handle: FileHandle
  readonly path: string
  readonly inode: bigint
}

export class JournalDrive {
  /** The drive's folder. */
  readonly folder: string
  /** Where its copies lie. */
  readonly copies: string
  state: JournalState = 'absent'
  /** Identity of the drive in the folder. */
  driveId: string | undefined
  /** Syncs of its journal files, and of the folder for each that was begun. */
  syncs = 0
  private readonly options: JournalDriveOptions
  private journal: OpenJournal | undefined
  /** Place in the queue of the first frame that is not durable here. */
  private place = 0
  private writing: Promise<void> | undefined
  private lostAtMs: number
  private retryAtMs = 0
  /** Times it was lost: what was begun before counts no more. */
  private losses = 0

  constructor(options: JournalDriveOptions) {
    this.options = options
    this.folder = options.folder
    this.copies = copiesFolder(options.folder)
    this.lostAtMs = options.clock.monotonicMs()
  }

  /** The first frame it still needs; `undefined` if it follows nothing. */
  get neededFrom(): number | undefined {
    return this.state === 'follows' || this.state === 'joins' ? this.place : undefined
  }

  /** Whether everything before `place` is durable here. */
  hasThrough(place: number): boolean {
    return this.state === 'follows' && this.place >= place
  }

  /** Milliseconds that it is behind: since its oldest missing entry, or since it was lost. */
  lagMs(): number {
    const nowMs = this.options.clock.monotonicMs()
    if (this.state !== 'follows') return nowMs - this.lostAtMs
    const oldest = this.options.queue.at(this.place)
    return oldest === undefined ? 0 : nowMs - oldest.atMs
  }

  /**
   * Takes back, durably, what an earlier store noted at its end: it would pass for the end of what comes now, of a
   * drive that was away when the store was opened. An error ends the following.
   */
  async reopen(): Promise<void> {
    if (this.state !== 'waits') return
    try {
      await removeClean(this.copies)
    } catch (error) {
      // A new drive has no folder of copies yet.
      if (!isAbsent(error)) this.lose('failed', error)
    }
  }

  /** Everything before `place` is in its files, or will be once the checkpoint under way is durable (`joins`). */
  follow(place: number, state: 'joins' | 'follows'): void {
    this.place = place
    this.state = state
  }

  /** The checkpoint by which it joins is durable. */
  joined(): void {
    if (this.state === 'joins') this.state = 'follows'
  }

  /** Ends the current file; the next frame begins a new one. */
  async rotate(): Promise<void> {
    await this.writing
    await this.closeFile()
  }

  /** Writes what waits, one write at a time. Never rejects: an error ends the following. */
  flush(): Promise<void> {
    this.writing ??= this.writeAll().finally(() => {
      this.writing = undefined
    })
    return this.writing
  }

  /** Stops following. A drive in error is left alone for a while. */
  lose(state: 'absent' | 'waits' | 'failed', error: unknown): void {
    if (this.neededFrom !== undefined) {
      this.lostAtMs = this.options.clock.monotonicMs()
      this.options.onLost(this.folder, error)
    }
    this.state = state
    this.losses++
    this.retryAtMs = this.options.clock.monotonicMs() + (state === 'failed' ? RETRY_MS : 0)
    void this.closeFile()
  }

  /** Looks whether the drive is there, is the same, and holds our file. */
  async look(clusterId: string): Promise<void> {
    const found = await this.findDriveId(clusterId)
    if (found === undefined) {
      if (this.state !== 'absent') this.lose('absent', new Error('the drive is not there'))
      return
    }
    if (this.state === 'absent') this.lose('waits', undefined)
    else if (this.driveId !== found) this.lose('waits', new Error('another drive is in its place'))
    else if (this.state === 'failed' && this.isRetryDue() && (await this.hasRoom())) this.state = 'waits'
    else if (this.state === 'follows' && !(await this.hasRoom())) {
      this.lose('failed', new Error('the drive is full'))
    }
    if (this.state === 'follows' && !(await this.holdsFiles())) {
      this.lose('waits', new Error('the journal was removed'))
    }
    this.driveId = found
  }

  /** Removes copies that are older than the checkpoints to keep. Only what can be spared goes. */
  async removeOld(): Promise<void> {
    const { checkpoints, journals } = await listCopies(this.copies)
    const oldestKept = checkpoints[CHECKPOINTS_KEPT - 1]
    if (oldestKept === undefined) return
    // A file's frames lie below the first of the next file.
    const spare = journals.filter((_, at) => (journals[at - 1]?.number ?? Infinity) <= oldestKept.number + 1)
    const gone = [...checkpoints.slice(CHECKPOINTS_KEPT), ...spare]
    for (const { path } of gone) if (path !== this.journal?.path) await rm(path, { force: true })
    if (gone.length > 0) await syncFolder(this.copies)
  }

  async close(): Promise<void> {
    await this.writing
    await this.closeFile()
  }

  private isRetryDue(): boolean {
    return this.options.clock.monotonicMs() >= this.retryAtMs
  }

  private async writeAll(): Promise<void> {
    const { losses } = this
    try {
      await this.writeFrames(() => losses === this.losses)
    } catch (error) {
      if (losses === this.losses) this.lose('failed', error)
    }
    // It was lost meanwhile, and may follow again from another place: this file is none of it.
    if (losses !== this.losses) await this.closeFile()
  }

  private async writeFrames(isCurrent: () => boolean): Promise<void> {
    const { queue } = this.options
    // What comes while this is written waits for the next time, unless it is much.
    const until = queue.end
    while (this.state === 'follows' && this.place < until) {
      const frames = queue.take(this.place, { bytes: WRITE_BYTES_MAX, frames: WRITE_FRAMES_MAX })
      const first = frames[0]
      if (first === undefined) return
      const journal = this.journal ?? (await this.openFile(first.number))
      await writeFully(
        journal.handle,
        frames.map(({ bytes }) => bytes),
      )
      this.syncs++
      await journal.handle.datasync()
      if (!isCurrent()) return
      this.place += frames.length
    }
  }

  private async openFile(number: number): Promise<OpenJournal> {
    const path = journalPath(this.copies, number)
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND
    // A file of this name holds frames that a store lost which was then made anew; numbers never repeat otherwise.
    await rm(path, { force: true })
    const handle = await open(path, flags, 0o600)
    const journal = { handle, path, inode: (await handle.stat({ bigint: true })).ino }
    this.journal = journal
    await writeFully(handle, [encodeFileHeader('journal')])
    this.syncs += 2
    await handle.datasync()
    await syncFolder(this.copies)
    return journal
  }

  private async closeFile(): Promise<void> {
    const { journal } = this
    this.journal = undefined
    // What counts was synced; a close can only fail to give the descriptor back.
    await journal?.handle.close().catch(() => undefined)
  }

  /** The last bytes of a full drive are for deletes, which give space back. */
  private async hasRoom(): Promise<boolean> {
    try {
      const { bavail, bsize } = await statfs(this.folder)
      return bavail * bsize >= ROOM_BYTES_MIN
    } catch {
      // Whoever cannot tell its space will say more when it is written to.
      return true
    }
  }

  private async holdsFiles(): Promise<boolean> {
    const { journal } = this
    try {
      if ((await listCopies(this.copies)).checkpoints.length === 0) return false
      return journal === undefined || (await stat(journal.path, { bigint: true })).ino === journal.inode
    } catch {
      // Gone or unreadable: either way nobody will find our frames, unless the file was just exchanged by us.
      return this.journal !== journal
    }
  }

  private async findDriveId(clusterId: string): Promise<string | undefined> {
    try {
      const text = await readFile(join(this.folder, 'drive.json'), 'utf8')
      const identity = JSON.parse(text) as { clusterId?: unknown; driveId?: unknown }
      const isOurs = identity.clusterId === clusterId && typeof identity.driveId === 'string'
      return isOurs ? String(identity.driveId) : undefined
    } catch {
      // Not there, not readable, not ours: no place for copies in any of these cases.
      return undefined
    }
  }
}

/** Writes all bytes, however short the single writes are. */
export async function writeFully(handle: FileHandle, buffers: readonly Buffer[]): Promise<void> {
  let rest = [...buffers]
  while (rest.length > 0) {
    let { bytesWritten } = await handle.writev(rest)
    while (rest.length > 0 && bytesWritten >= (rest[0]?.length ?? 0)) {
      bytesWritten -= rest[0]?.length ?? 0
      rest = rest.slice(1)
    }
    if (bytesWritten > 0 && rest[0] !== undefined) rest[0] = rest[0].subarray(bytesWritten)
  }
}
