/**
 * Keeps one mirror alive: opens or fills its file, follows the store, audits, and begins anew when it must. A file
 * lives for one generation; whatever ends that takes only the mirror away, never an answer.
 */
import {
  CairnError,
  type CancelTimer,
  type Clock,
  type ErrorCode,
  hasCode,
  type Random,
} from '@cairn/protocol'
import { Backoff } from '../../core/commit/commit-retry.js'
import type { Read, ReadResult } from '../../ports.js'
import type { Head, MirrorSource } from '../../ports-mirror.js'
import { MirrorAudit } from './mirror-audit.js'
import { feedMirror } from './mirror-feed.js'
import { createMirrorFile, type MirrorFile, openMirrorFile } from './mirror-file.js'
import { fillMirror, findPlace } from './mirror-fill.js'
import {
  AUDIT_MS,
  AUDIT_PASS_MS,
  CATCH_UP_MS,
  LOOK_MS,
  RESUMES_MAX,
  RETRY_MS,
  RETRY_MS_MAX,
  STALL_MS,
} from './mirror-limits.js'
import { provesItself } from './mirror-proof.js'
import type { MirrorLog, MirrorStatus } from './mirror-status.js'

export interface MirrorKeeperOptions {
  readonly source: MirrorSource
  readonly path: string
  readonly clock: Clock
  readonly random: Random
  readonly log: MirrorLog
}

type Counts = {
  -readonly [Name in Exclude<keyof MirrorStatus, 'state' | 'appliedRevision' | 'lagEntries' | 'rows'>]: number
}

/** Errors of a feed after which going on from what is applied makes no sense. */
const FINAL_CODES = [
  'PeerRejected',
  'DriveFull',
  'DriveFailed',
  'DataFolderInUse',
  'Internal',
] as const satisfies readonly ErrorCode[]

export class MirrorKeeper {
  private readonly options: MirrorKeeperOptions
  private readonly closing = new AbortController()
  private readonly counts: Counts = {
    readsHere: 0,
    readsThere: 0,
    resumes: 0,
    rebuilds: 0,
    audits: 0,
    mismatches: 0,
  }
  private state: MirrorStatus['state'] = 'filling'
  private generations = 0
  private file: MirrorFile | undefined
  /** Ends the generation, and the feed alone. */
  private generation = new AbortController()
  private feeding = new AbortController()
  private loss: unknown
  private headSeen: Head = { revision: 0, version: 0 }
  /** The version of `head` for which a read has waited in vain; then others do not wait until it is applied. */
  private missed = 0
  private progressMs = 0
  private readonly waiting = new Set<() => void>()
  private running: Promise<void> = Promise.resolve()

  constructor(options: MirrorKeeperOptions) {
    this.options = options
  }

  get status(): MirrorStatus {
    const place = this.file?.place
    return {
      ...this.counts,
      state: this.state,
      appliedRevision: place?.revision ?? 0,
      lagEntries: Math.max(0, this.headSeen.version - (place?.head.version ?? 0)),
      rows: this.file?.rowCount ?? 0,
    }
  }

  start(): void {
    this.running = this.run()
  }

  async close(): Promise<void> {
    this.closing.abort()
    this.generation.abort()
    this.feeding.abort()
    this.wake()
    await this.running
  }

  /** Linearizable; `undefined` if the store must answer. */
  async tryRead(reads: readonly Read[]): Promise<ReadResult | undefined> {
    const result = await this.readHere(reads)
    if (result === undefined) this.counts.readsThere++
    else this.counts.readsHere++
    return result
  }

  private async readHere(reads: readonly Read[]): Promise<ReadResult | undefined> {
    const { file } = this
    if (this.state !== 'following' || file === undefined) return undefined
    if (!(await this.seesAll(file))) return undefined
    try {
      if (this.file !== file) return undefined
      return { revision: file.place.revision, results: file.read(reads) }
    } catch (error) {
      this.lose(error)
      return undefined
    }
  }

  /** Whether the file has every entry that was applied before the call. */
  private async seesAll(file: MirrorFile): Promise<boolean> {
    let head: Head
    try {
      head = await this.look(file)
    } catch (error) {
      if (error instanceof CairnError) return false
      throw error
    }
    const waits = this.options.clock.monotonicMs() + CATCH_UP_MS
    while (this.file === file && !this.generation.signal.aborted) {
      if (file.place.head.version >= head.version) return true
      if (this.missed > file.place.head.version) return false
      await this.nextChange(waits)
      if (this.options.clock.monotonicMs() >= waits) this.missed = Math.max(this.missed, head.version)
    }
    return false
  }

  /** Reads the head; one that is older than what is applied is of another store. */
  private async look(file: MirrorFile): Promise<Head> {
    const applied = file.place.head
    const head = await this.options.source.head()
    if (
      head.version < applied.version ||
      (head.version === applied.version && head.revision !== applied.revision)
    ) {
      this.lose(new CairnError('PeerRejected', 'the store has gone back'))
    }
    if (head.version > this.headSeen.version) this.headSeen = head
    return head
  }

  /** Resolves when something has changed, or at `untilMs`. */
  private nextChange(untilMs: number): Promise<void> {
    const { clock } = this.options
    return new Promise((resolve) => {
      let cancel: CancelTimer | undefined
      const done = (): void => {
        cancel?.()
        this.waiting.delete(done)
        resolve()
      }
      cancel = clock.setTimer(untilMs - clock.monotonicMs(), done)
      this.waiting.add(done)
    })
  }

  private wake(): void {
    for (const done of [...this.waiting]) done()
  }

  /** Ends the generation: everything is read anew. */
  private lose(error: unknown): void {
    if (this.generation.signal.aborted) return
    this.loss = error
    this.generation.abort()
    this.feeding.abort()
    this.wake()
  }

  private async run(): Promise<void> {
    const { clock, log } = this.options
    let delayMs = RETRY_MS
    while (!this.closing.signal.aborted) {
      const startedMs = clock.monotonicMs()
      try {
        await this.runGeneration()
      } catch (error) {
        if (this.closing.signal.aborted || hasCode(error, 'ShuttingDown')) return
        log.error({ err: error }, 'the metadata mirror begins anew')
      }
      const isLong = clock.monotonicMs() - startedMs > RETRY_MS_MAX
      delayMs = isLong ? RETRY_MS : Math.min(delayMs * 2, RETRY_MS_MAX)
      await this.pause(delayMs, this.closing.signal)
    }
  }

  private async runGeneration(): Promise<void> {
    const file = await this.openFile(this.generations === 0)
    this.generations++
    if (this.closing.signal.aborted) return file.close()
    try {
      await this.live(file)
    } finally {
      this.counts.rebuilds = this.generations
      this.state = 'rebuilding'
    }
  }

  private async openFile(isFirst: boolean): Promise<MirrorFile> {
    const { source, path } = this.options
    const left = isFirst ? openMirrorFile(path) : undefined
    if (left !== undefined) {
      let isProven = false
      try {
        isProven = await this.prove(left, this.closing.signal)
      } finally {
        if (!isProven) left.close()
      }
      if (isProven) return left
    }
    return createMirrorFile(path, await findPlace(source))
  }

  /** Asks until the store answers. */
  private async prove(file: MirrorFile, signal: AbortSignal): Promise<boolean> {
    const backoff = new Backoff(this.options.clock, this.options.random)
    for (;;) {
      try {
        return await provesItself(this.options.source, file)
      } catch (error) {
        if (!(error instanceof CairnError) || error.code === 'ShuttingDown') throw error
        await backoff.wait()
        if (signal.aborted) throw new CairnError('ShuttingDown', 'the mirror closes')
      }
    }
  }

  /** One generation; rejects with what ended it. */
  private async live(file: MirrorFile): Promise<void> {
    this.generation = new AbortController()
    const { signal } = this.generation
    this.loss = undefined
    this.file = file
    this.missed = 0
    this.headSeen = file.place.head
    const ended = (work: Promise<void>): Promise<void> => work.catch((error: unknown) => this.lose(error))
    await Promise.all([
      ended(this.follow(file, signal)),
      ended(this.becomeWhole(file, signal)),
      ended(this.watchOver(file, signal)),
      ended(this.audit(file, signal)),
    ])
    this.file = undefined
    this.wake()
    file.close()
    if (this.loss !== undefined) throw this.loss
  }

  private async becomeWhole(file: MirrorFile, signal: AbortSignal): Promise<void> {
    const { log, clock } = this.options
    const startedMs = clock.monotonicMs()
    if (!file.isWhole) {
      const onProgress = (rows: number): void => log.info({ rows }, 'the metadata mirror fills')
      await fillMirror({ ...this.options, file, onProgress }, signal)
      // Every page is older than this head: with it, all that pages were ahead of is applied.
      const head = await this.options.source.head()
      while (!signal.aborted && file.place.head.version < head.version) {
        await this.nextChange(clock.monotonicMs() + LOOK_MS)
      }
      if (signal.aborted) return
      file.finishFill()
    }
    this.state = 'following'
    const seconds = (clock.monotonicMs() - startedMs) / 1000
    log.info({ rows: file.rowCount, revision: file.place.revision, seconds }, 'the metadata mirror answers')
  }

  /** Changes as long as the generation lasts. */
  private async follow(file: MirrorFile, signal: AbortSignal): Promise<void> {
    const { source, clock, log } = this.options
    const onApplied = (): void => {
      this.progressMs = clock.monotonicMs()
      this.wake()
    }
    for (let fruitless = 0; !signal.aborted; ) {
      const { revision } = file.place
      this.progressMs = clock.monotonicMs()
      this.feeding = new AbortController()
      const cause = await causeOf(feedMirror({ source, clock, file, onApplied }, this.feeding.signal))
      if (signal.aborted) return
      const isFruitful = file.place.revision > revision || file.place.head.version >= this.headSeen.version
      fruitless = isFruitful ? 0 : fruitless + 1
      if (isFinal(cause) || fruitless > RESUMES_MAX)
        throw cause ?? new CairnError('Busy', 'the changes bring nothing')
      log.info({ revision: file.place.revision, err: cause }, 'the metadata mirror asks for changes anew')
      this.counts.resumes++
      await this.pause(RETRY_MS * 2 ** fruitless, signal)
      await this.assertKept(file, signal)
    }
  }

  /** One that is being filled shows itself by its pages. */
  private async assertKept(file: MirrorFile, signal: AbortSignal): Promise<void> {
    if (signal.aborted || !file.isWhole || (await this.prove(file, signal))) return
    throw new CairnError('Busy', 'the store does not keep the revision of the mirror')
  }

  /** Notices a feed that has fallen silent, whether anybody reads or not. */
  private async watchOver(file: MirrorFile, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.pause(LOOK_MS, signal)
      if (signal.aborted) return
      const applied = file.place
      const cause = await causeOf(this.look(file))
      if (cause !== undefined && !(cause instanceof CairnError)) throw cause
      const isStill = file.place === applied && this.headSeen.version > applied.head.version
      if (isStill && this.options.clock.monotonicMs() - this.progressMs > STALL_MS) this.feeding.abort()
    }
  }

  private async audit(file: MirrorFile, signal: AbortSignal): Promise<void> {
    const audit = new MirrorAudit(this.options.source, file)
    let pauseMs = AUDIT_MS
    while (!signal.aborted) {
      await this.pause(pauseMs, signal)
      if (!signal.aborted && file.isWhole) pauseMs = await this.auditOnce(audit)
    }
  }

  /** How long to wait after it. */
  private async auditOnce(audit: MirrorAudit): Promise<number> {
    try {
      const { mismatch, isLast } = await audit.step()
      this.counts.audits++
      if (mismatch !== undefined) this.reportMismatch(mismatch)
      return isLast ? AUDIT_PASS_MS : AUDIT_MS
    } catch (error) {
      // Not answered, or compacted meanwhile: the next step asks again.
      if (hasCode(error, 'Busy', 'ConnectionLost', 'DeadlineExceeded', 'OutcomeUnknown')) return AUDIT_MS
      throw error
    }
  }

  private reportMismatch(key: Uint8Array): void {
    this.counts.mismatches++
    const name = Buffer.from(key).toString('latin1')
    this.options.log.error({ key: name }, 'the metadata mirror differs from the store')
    this.lose(new CairnError('MessageCorrupt', 'the mirror differs from the store'))
  }

  private pause(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.options.clock.setTimer(delayMs, done)
      if (signal.aborted) done()
      else signal.addEventListener('abort', done)
    })
  }
}

/** What a work was rejected with; `undefined` if it was not. */
async function causeOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
    return undefined
  } catch (error) {
    return error
  }
}

function isFinal(error: unknown): boolean {
  if (error === undefined) return false
  return !(error instanceof CairnError) || hasCode(error, ...FINAL_CODES, 'ShuttingDown')
}
