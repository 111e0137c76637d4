/**
 * A store whose entries are also kept on the drives, so that the metadata is never a single copy.
 *
 * ● What an entry really did is appended, as one frame, to a journal on every drive: in mode `async` at most a
 *   second later, in mode `sync` before `apply` resolves, on more than half of the drives.
 * ● A journal is one unbroken row of frames behind a checkpoint. Where the row breaks (a drive was away, a process
 *   died before its last frames were written), a new checkpoint begins a new one before the old is given up.
 * ● Nothing here makes a commit fail or wait, but for the syncs of mode `sync`: a drive in error is left out, told
 *   of, and tried again.
 *
 * A crash leaves frames of the last moment unwritten; the store itself has them. At the next opening, `head` tells
 * whether the journals follow the store to its last entry; if not, a checkpoint is made at once. Journals that are
 * *ahead* of the store mean that the store lost entries: then it is not opened.
 */

import { CairnError, type Clock, formatId, hasCode } from '@cairn/protocol'
import { PassingStore } from '../../core/commit/passing-store.js'
import type { CommitResult, Entry, EntryStore, Read, ReadResult, StoreKey, StoreRow } from '../../ports.js'
import { JournalCheckpoints } from './journal-checkpoints.js'
import { JournalDrive, type JournalState } from './journal-drive.js'
import { listCopies, readClean, removeClean, writeClean } from './journal-files.js'
import { FrameEncoder, LINEAGE_BYTES } from './journal-frame.js'
import { BEHIND_BYTES_MAX, FLUSH_MS, LOOK_AT_START_MS, LOOK_MS, LOOKS_AT_START } from './journal-limits.js'
import { clusterRowIn, lineageOf, readFacts } from './journal-lineage.js'
import type { JournalLog } from './journal-log.js'
import { JournalQueue } from './journal-queue.js'
import { findLastFrame } from './journal-scan.js'

export interface JournaledEntryStoreOptions {
  /** Closed by `close`. */
  readonly store: EntryStore
  readonly clock: Clock
  /** Folders of the drives; each is used while it holds a drive of this cluster. */
  readonly drives: readonly string[]
  readonly mode: 'async' | 'sync'
  readonly log?: JournalLog
  /** Told at the opening, and when it changes, whether any drive follows. Must not throw. */
  readonly onFollowing?: (isFollowed: boolean) => void
}

/** The journal of one drive, as metrics show it. */
export interface JournalDriveStatus {
  readonly folder: string
  readonly state: JournalState
  readonly lagSeconds: number
  /** Syncs of its journal; those of checkpoints are not among them. */
  readonly syncs: number
}

export interface JournalStatus {
  readonly drives: readonly JournalDriveStatus[]
  readonly checkpoints: number
  readonly frames: number
  readonly frameBytes: number
}

export interface JournaledEntryStore extends EntryStore {
  status(): JournalStatus
  /** Resolves when every drive that is there has all that was applied: for tests, and before a hand-over. */
  settle(): Promise<void>
}

/**
 * Opens the journals of a store. `DriveFailed` (details.reason `behind`) if they hold entries that the store has
 * lost: opening it would undo acknowledged writes. In mode `sync` it resolves once the journals follow the store.
 */
export async function openJournaledEntryStore(
  options: JournaledEntryStoreOptions,
): Promise<JournaledEntryStore> {
  const journal = new JournaledStore(options)
  await journal.open()
  return journal
}

class JournaledStore extends PassingStore<EntryStore> implements JournaledEntryStore {
  private readonly options: JournaledEntryStoreOptions
  private readonly clock: Clock
  private readonly encoder = new FrameEncoder()
  private readonly queue = new JournalQueue()
  private readonly drives: readonly JournalDrive[]
  private lineage: Buffer = Buffer.alloc(LINEAGE_BYTES)
  private clusterId = ''
  private last = 0
  private isFlushDue = false
  private isFollowed: boolean | undefined
  private looking: Promise<void> | undefined
  private readonly checkpoints: JournalCheckpoints
  private frames = 0
  private waiters: { readonly place: number; readonly resolve: () => void }[] = []
  private closing: Promise<void> | undefined

  constructor(options: JournaledEntryStoreOptions) {
    const { store, clock, drives, log } = options
    super(store)
    this.options = options
    this.clock = clock
    const onLost = (folder: string, err: unknown): void =>
      log?.error({ folder, err }, 'the journal of the metadata no longer follows on this drive')
    const { queue } = this
    this.drives = drives.map((folder) => new JournalDrive({ folder, clock, queue, onLost }))
    this.checkpoints = new JournalCheckpoints({
      store,
      clock,
      queue,
      drives: this.drives,
      log,
      last: () => ({ number: this.last, lineage: this.lineage, clusterId: this.clusterId }),
      isHurried: () => options.mode === 'sync' && this.frames === 0,
    })
  }

  async open(): Promise<void> {
    const { cluster, head } = await readFacts(this.store)
    this.last = head
    if (cluster !== undefined) {
      this.lineage = lineageOf(cluster)
      this.clusterId = cluster.clusterId
      await Promise.all(this.drives.map((drive) => this.resume(drive, head)))
    }
    await this.look()
    if (this.options.mode === 'sync') await this.checkpoints.idle()
    this.lookLater()
  }

  get failure(): CairnError | undefined {
    return this.store.failure
  }

  rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]> {
    return this.store.rowsAt(keys, revision)
  }

  get isShort(): boolean {
    return this.store.isShort === true
  }

  async apply(entry: Entry): Promise<readonly CommitResult[]> {
    let results: readonly CommitResult[]
    try {
      results = await this.store.apply(entry)
    } catch (error) {
      // It may have happened, or happen later: then the journals lack it.
      if (hasCode(error, 'OutcomeUnknown')) this.breakRow()
      throw error
    }
    const number = results[0]?.revision ?? (await this.store.read([])).revision
    this.append(entry, results, number)
    if (this.options.mode === 'sync') await this.synced(this.queue.end)
    return results
  }

  read(reads: readonly Read[]): Promise<ReadResult> {
    return this.store.read(reads)
  }

  readNow(reads: readonly Read[]): ReadResult | undefined {
    return this.store.readNow?.(reads)
  }

  override close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  status(): JournalStatus {
    return {
      drives: this.drives.map((drive) => ({
        folder: drive.folder,
        state: drive.state,
        lagSeconds: drive.lagMs() / 1000,
        syncs: drive.syncs,
      })),
      checkpoints: this.checkpoints.made,
      frames: this.frames,
      frameBytes: this.queue.bytes,
    }
  }

  async settle(): Promise<void> {
    await this.look()
    await this.checkpoints.idle()
    await this.drain()
  }

  /** Follows on if the drive's last frame is the store's last entry. */
  private async resume(drive: JournalDrive, head: number): Promise<void> {
    const found = await this.findLast(drive).catch((error: unknown) => {
      if (hasCode(error, 'FormatTooNew')) throw error
      this.options.log?.error({ folder: drive.folder, err: error }, 'a journal cannot be read')
      return undefined
    })
    if (found === undefined) return
    if (found > this.last) {
      throw new CairnError(
        'DriveFailed',
        `the metadata store ends at ${this.last}, its journal at ${found}`,
        {
          details: { reason: 'behind' },
        },
      )
    }
    await drive.look(this.clusterId)
    if (found === head && drive.state === 'waits') drive.follow(this.queue.end, 'follows')
    await removeClean(drive.copies).catch((error: unknown) => drive.lose('failed', error))
  }

  /** Number of the last entry that the drive's copies hold; `undefined` without usable copies. */
  private async findLast(drive: JournalDrive): Promise<number | undefined> {
    const lineage = formatId(this.lineage)
    const { journals, checkpoints } = await listCopies(drive.copies)
    // Without any checkpoint a journal follows nothing.
    if (checkpoints.length === 0) return undefined
    const clean = await readClean(drive.copies)
    if (clean?.lineage === lineage) return clean.number
    for (const { path } of journals) {
      const frame = await findLastFrame(path, lineage)
      if (frame !== undefined) return frame.number
    }
    return undefined
  }

  private append(entry: Entry, results: readonly CommitResult[], number: number): void {
    if (number === this.last && entry.always.length === 0) return
    this.learnLineage(entry)
    const place = { number, after: this.last, wallMicros: this.clock.wallMicros(), lineage: this.lineage }
    const bytes = this.encoder.encode(entry, results, place)
    if (number <= this.last) this.breakRow()
    this.last = number
    this.frames++
    this.queue.push({ number, bytes }, this.clock.monotonicMs())
    this.checkpoints.take(bytes)
    this.flushLater()
  }

  /** A fresh store gets its identity by its first entry. */
  private learnLineage(entry: Entry): void {
    if (this.clusterId !== '') return
    const row = clusterRowIn(entry)
    if (row === undefined) return
    this.lineage = lineageOf(row)
    this.clusterId = row.clusterId
  }

  /** Frames are missing from here on: only a checkpoint helps. */
  private breakRow(): void {
    this.checkpoints.abort()
    for (const drive of this.drives) {
      if (drive.neededFrom === undefined) continue
      drive.lose('waits', new Error('an entry without a clear outcome'))
    }
  }

  private flushLater(): void {
    if (this.isFlushDue) return
    this.isFlushDue = true
    if (this.options.mode === 'sync') this.clock.defer(() => void this.flush())
    else this.clock.setTimer(FLUSH_MS, () => void this.flush())
  }

  private async flush(): Promise<void> {
    this.isFlushDue = false
    await Promise.all(this.drives.map((drive) => drive.flush().then(() => this.wake())))
    this.dropOld()
    this.noteFollowing()
    const needed = this.drives.some(
      (drive) => drive.neededFrom !== undefined && drive.neededFrom < this.queue.end,
    )
    if (needed && this.closing === undefined) this.flushLater()
    if (this.checkpoints.isDue) this.checkpoints.start(this.drives.filter(({ state }) => state === 'follows'))
  }

  /** Flushes until all that is queued is on every drive that follows. */
  private async drain(): Promise<void> {
    const isBehind = (drive: JournalDrive): boolean =>
      drive.state === 'follows' && !drive.hasThrough(this.queue.end)
    do await this.flush()
    while (this.drives.some(isBehind))
  }

  /** Keeps the queue bounded: who is too far behind must come back by a checkpoint. */
  private dropOld(): void {
    let needed = this.queue.end
    for (const drive of this.drives) {
      const from = drive.neededFrom
      if (from === undefined) continue
      if (this.queue.bytesFrom(from) > BEHIND_BYTES_MAX)
        drive.lose('waits', new Error('the drive is too slow'))
      else needed = Math.min(needed, from)
    }
    this.queue.dropBefore(needed)
  }

  /** Resolves once more than half of the drives have everything before `place`; those in error do not count. */
  private synced(place: number): Promise<void> {
    return new Promise((resolve) => {
      this.waiters.push({ place, resolve })
      this.wake()
    })
  }

  private wake(): void {
    if (this.waiters.length === 0) return
    const following = this.drives.filter(({ state }) => state === 'follows')
    const needed = Math.min(Math.floor(this.drives.length / 2) + 1, following.length)
    this.waiters = this.waiters.filter(({ place, resolve }) => {
      if (following.filter((drive) => drive.hasThrough(place)).length < needed) return true
      resolve()
      return false
    })
  }

  private lookLater(looks = 0): void {
    const isStarting = looks < LOOKS_AT_START && this.drives.some(({ state }) => state === 'absent')
    this.clock.setTimer(isStarting ? LOOK_AT_START_MS : LOOK_MS, () => {
      if (this.closing !== undefined) return
      void this.look().finally(() => this.lookLater(looks + 1))
    })
  }

  /** Looks at all drives, and begins a checkpoint for those that came or lost their row. */
  private look(): Promise<void> {
    this.looking ??= this.lookOnce().finally(() => {
      this.looking = undefined
      this.noteFollowing()
    })
    return this.looking
  }

  private async lookOnce(): Promise<void> {
    if (this.clusterId === '') return
    await Promise.all(this.drives.map((drive) => drive.look(this.clusterId)))
    this.wake()
    this.dropOld()
    const waiting = this.drives.filter(({ state }) => state === 'waits')
    this.checkpoints.start(waiting)
  }

  private noteFollowing(): void {
    const isFollowed = this.drives.some(({ state }) => state === 'follows')
    if (isFollowed === this.isFollowed) return
    this.isFollowed = isFollowed
    this.options.onFollowing?.(isFollowed)
  }

  private async closeAll(): Promise<void> {
    this.checkpoints.close()
    await this.checkpoints.idle()
    await this.looking
    await this.store.close()
    await this.drain()
    await Promise.all(this.drives.map((drive) => this.closeDrive(drive)))
    for (const { resolve } of this.waiters.splice(0)) resolve()
  }

  private async closeDrive(drive: JournalDrive): Promise<void> {
    const isWhole = drive.hasThrough(this.queue.end)
    await drive.close()
    if (!isWhole || this.last === 0) return
    const at = { number: this.last, lineage: formatId(this.lineage) }
    await writeClean(drive.copies, at).catch((err: unknown) =>
      this.options.log?.error({ folder: drive.folder, err }, 'the end of a journal was not noted'),
    )
  }
}
