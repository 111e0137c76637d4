/**
 * Makes checkpoints while the store is in use: rows are read in small pages between other work, and the frames of
 * what changes meanwhile are written beside them (see `checkpoint-file.ts`). Nothing is stopped, no snapshot is
 * held, and so no log of the store grows because of it.
 */
import { constants, type FileHandle, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '@cairn/protocol'
import { successorOfKey } from '../../core/rows/keys.js'
import type { EntryStore, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import { CheckpointEncoder, type CheckpointHead } from './checkpoint-file.js'
import { writeFully } from './journal-drive.js'
import { checkpointPath, makeFolder, syncFolder } from './journal-files.js'
import { PAGE_BYTES, PAGE_PAUSE_FACTOR, PAGE_ROWS_MAX } from './journal-limits.js'

const TEMPORARY = 'checkpoint.new'

/** Keys are 1,400 bytes at most and begin with ASCII. */
const KEYS_END: StoreKey = Buffer.from([0xff])

/** All rows but those of sessions, which end with the process: `s/…` holds all that stands under leases. */
const COPIED: readonly StoreRange[] = [
  { from: Buffer.alloc(0), to: Buffer.from('s/') },
  { from: Buffer.from('s0'), to: KEYS_END },
]

/** Whether a row is of a running writer. */
export function isSessionKey(key: StoreKey): boolean {
  return key[0] === 0x73 && key[1] === 0x2f
}

/** One file of a checkpoint: written beside its final name. A failed one is left out of the rest. */
export interface CheckpointTarget {
  readonly folder: string
  readonly failure: unknown
}

interface OpenTarget {
  readonly folder: string
  handle: FileHandle | undefined
  failure: unknown
}

export interface CheckpointRunOptions {
  readonly store: EntryStore
  readonly clock: Clock
  /** Folders of copies to write to. */
  readonly folders: readonly string[]
  readonly head: CheckpointHead
  /** Frames applied since the last call, in order. */
  takeFrames(): readonly Buffer[]
  /** Number of the last frame that was applied. */
  lastNumber(): number
  /** Called in the same turn as the last `takeFrames`: what comes from now on belongs to the journal alone. */
  onCut(): void
  readonly signal: AbortSignal
  /** No pauses: nobody waits for the loop. */
  readonly isHurried: boolean
}

/** What came of it; `undefined` when it was aborted. */
export interface CheckpointOutcome {
  readonly number: number
  readonly bytes: number
  readonly targets: readonly CheckpointTarget[]
}

export async function runCheckpoint(options: CheckpointRunOptions): Promise<CheckpointOutcome | undefined> {
  const run = new CheckpointRun(options)
  try {
    return await run.run()
  } finally {
    await run.discard()
  }
}

class CheckpointRun {
  private readonly options: CheckpointRunOptions
  private readonly targets: OpenTarget[]
  private readonly encoder = new CheckpointEncoder()

  constructor(options: CheckpointRunOptions) {
    this.options = options
    this.targets = options.folders.map((folder) => ({ folder, handle: undefined, failure: undefined }))
  }

  async run(): Promise<CheckpointOutcome | undefined> {
    const { head, signal } = this.options
    await this.each(async (target) => {
      await makeFolder(target.folder)
      await rm(join(target.folder, TEMPORARY), { force: true })
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
      target.handle = await open(join(target.folder, TEMPORARY), flags, 0o600)
    })
    await this.write([this.encoder.start(head)])
    for (const range of COPIED) await this.copy(range)
    if (signal.aborted) return undefined
    const number = await this.finish()
    return { number, bytes: this.encoder.bytes, targets: this.targets }
  }

  /** Removes what was begun and not finished. */
  async discard(): Promise<void> {
    for (const { handle, folder } of this.targets) {
      if (handle === undefined) continue
      await handle.close().catch(() => undefined)
      await rm(join(folder, TEMPORARY), { force: true }).catch(() => undefined)
    }
  }

  private async copy(range: StoreRange): Promise<void> {
    const { store, signal } = this.options
    let { from } = range
    let limit = PAGE_ROWS_MAX / 4
    while (!signal.aborted && this.targets.some(({ failure }) => failure === undefined)) {
      const startedMs = this.options.clock.monotonicMs()
      const { results } = await store.read([{ kind: 'scan', range: { from, to: range.to }, limit }])
      const rows = results[0] ?? []
      const page = rows.length > 0 ? [this.encoder.page(rows)] : []
      const tookMs = this.options.clock.monotonicMs() - startedMs
      await this.write([...page, ...this.options.takeFrames().map((frame) => this.encoder.frame(frame))])
      const last = rows.at(-1)
      if (last === undefined || rows.length < limit) return
      from = successorOfKey(last.key)
      limit = nextLimit(rows)
      await this.pause(tookMs)
    }
  }

  private async finish(): Promise<number> {
    const { clock } = this.options
    const frames = this.options.takeFrames().map((frame) => this.encoder.frame(frame))
    const number = this.options.lastNumber()
    this.options.onCut()
    await this.write([...frames, this.encoder.end(number, clock.wallMicros())])
    await this.each(async (target) => {
      await target.handle?.sync()
      await target.handle?.close()
      target.handle = undefined
      await rename(join(target.folder, TEMPORARY), checkpointPath(target.folder, number))
      await syncFolder(target.folder)
    })
    return number
  }

  private write(buffers: readonly Buffer[]): Promise<void> {
    if (buffers.length === 0) return Promise.resolve()
    return this.each(async ({ handle }) => {
      if (handle !== undefined) await writeFully(handle, buffers)
    })
  }

  private async each(act: (target: OpenTarget) => Promise<void>): Promise<void> {
    await Promise.all(
      this.targets
        .filter(({ failure }) => failure === undefined)
        .map((target) =>
          act(target).catch((error: unknown) => {
            target.failure = error
          }),
        ),
    )
  }

  private pause(tookMs: number): Promise<void> {
    if (this.options.isHurried) return Promise.resolve()
    return new Promise((resolve) => this.options.clock.setTimer(1 + tookMs * PAGE_PAUSE_FACTOR, resolve))
  }
}

/** Rows are about as large as those before them. */
function nextLimit(rows: readonly StoreRow[]): number {
  const bytes = rows.reduce((sum, { value }) => sum + value.length, 0)
  const fitting = Math.floor((rows.length * PAGE_BYTES) / Math.max(1, bytes))
  return Math.min(PAGE_ROWS_MAX, Math.max(1, Math.min(fitting, rows.length * 4)))
}
