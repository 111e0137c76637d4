/**
 * What changes in a store, one frame for each of its entries, from some place on. Nothing is written behind a gap (see
 * `placeAfter`): the changes are asked for anew from the last one that was written.
 */
import { CairnError, type CancelTimer, type Clock, hasCode } from '@cairn/protocol'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import { CLUSTER_KEY, ClusterRow } from '../../core/rows/cluster-state-rows.js'
import { successorOfKey } from '../../core/rows/keys.js'
import { MOVE_KEY } from '../../core/rows/store-move.js'
import type { Commit } from '../../ports.js'
import type { Head, MirrorSource, SourceChange, SourceEvent } from '../../ports-mirror.js'
import { FrameEncoder } from '../journal/journal-frame.js'
import { placeAfter } from '../mirror/mirror-feed.js'
import type { MirrorPlace } from '../mirror/mirror-file.js'
import { STALL_MS } from '../mirror/mirror-limits.js'
import { ATTEMPTS_MAX, RETRY_MS, retry, staysBehind, wait } from './store-pages.js'

export interface ChangeFramesOptions {
  readonly source: MirrorSource
  readonly clock: Clock
  readonly lineage: Uint8Array
  /** Of the cluster in the store. */
  readonly incarnation: string
  /** Resolves when there is room for more. */
  write(frame: Buffer): Promise<void>
}

export class ChangeFrames {
  /** Frames written so far. */
  frames = 0
  private readonly options: ChangeFramesOptions
  private readonly encoder = new FrameEncoder()
  private place: MirrorPlace
  /** Of the last frame. */
  private after: number
  private stream = new AbortController()
  private onChange: (() => void) | undefined

  constructor(options: ChangeFramesOptions, place: MirrorPlace) {
    this.options = options
    this.place = place
    this.after = place.revision
  }

  /** Every change up to this revision is written. */
  get number(): number {
    return this.place.revision
  }

  /** Until `signal` aborts. `Busy` when the store does not keep what is still to come. */
  async follow(signal: AbortSignal): Promise<void> {
    for (let fruitless = 0; ; ) {
      const { revision } = this.place
      const cause = await this.followOnce(signal)
      if (signal.aborted) return
      const { head } = this.place
      const isFruitful = this.place.revision > revision || (await this.assertKept()).version <= head.version
      fruitless = isFruitful ? 0 : fruitless + 1
      if (fruitless > ATTEMPTS_MAX) throw cause ?? new CairnError('Busy', 'the changes bring nothing')
      await wait(this.options.clock, RETRY_MS)
    }
  }

  /** Resolves once the entry is written that wrote this `head`, or `signal` aborts. */
  async reach({ version }: Head, signal: AbortSignal): Promise<void> {
    const { clock } = this.options
    let progressMs = clock.monotonicMs()
    while (!signal.aborted && this.place.head.version < version) {
      const { revision } = this.place
      await this.nextChange(signal)
      if (this.place.revision > revision) progressMs = clock.monotonicMs()
      else if (clock.monotonicMs() - progressMs >= STALL_MS) this.stream.abort()
    }
  }

  /** What ended the stream, if it may go on from where it is; rejects with what forbids it. */
  private async followOnce(signal: AbortSignal): Promise<unknown> {
    this.stream = new AbortController()
    const { stream } = this
    const stop = (): void => stream.abort()
    signal.addEventListener('abort', stop)
    if (signal.aborted) stop()
    try {
      for await (const change of this.options.source.follow(this.place.revision, stream.signal)) {
        if (stream.signal.aborted) return undefined
        await this.take(change)
      }
      return undefined
    } catch (error) {
      if (!hasCode(error, 'Busy', 'ConnectionLost')) throw error
      return error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  private async take(change: SourceChange): Promise<void> {
    const place = placeAfter(this.place, change)
    for (const event of change.events) this.assertSameStore(event)
    const commits = change.events.filter(({ key }) => !staysBehind(key)).map(toCommit)
    if (commits.length > 0) {
      const { clock, lineage } = this.options
      const at = { number: change.revision, after: this.after, wallMicros: clock.wallMicros(), lineage }
      const results = commits.map(() => ({ committed: true, revision: change.revision }) as const)
      const frame = this.encoder.encode({ commits, always: [] }, results, at)
      this.after = change.revision
      this.frames++
      await this.options.write(frame)
    }
    this.place = place
    this.onChange?.()
  }

  private assertSameStore({ key, value }: SourceEvent): void {
    if (value === undefined) return
    if (Buffer.compare(key, MOVE_KEY) === 0) {
      throw new CairnError('InvalidArgument', 'another command moves the store at this moment')
    }
    if (Buffer.compare(key, CLUSTER_KEY) !== 0) return
    if (ClusterRow.decode(value).incarnation === this.options.incarnation) return
    throw new CairnError('InvalidArgument', 'the store has another incarnation')
  }

  /** The head of the store, which still keeps every change after the last one written. */
  private async assertKept(): Promise<Head> {
    const { source, clock } = this.options
    const head = await retry(clock, () => source.head())
    const range = { from: HEAD_KEY, to: successorOfKey(HEAD_KEY) }
    await retry(clock, () => source.page(range, 1, this.place.revision))
    return head
  }

  /** Resolves with a change, or after a while without. */
  private nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let cancel: CancelTimer | undefined
      const done = (): void => {
        cancel?.()
        this.onChange = undefined
        signal.removeEventListener('abort', done)
        resolve()
      }
      cancel = this.options.clock.setTimer(STALL_MS, done)
      this.onChange = done
      signal.addEventListener('abort', done)
    })
  }
}

/** One commit for each event: a frame then has them in their order. */
function toCommit({ key, value }: SourceEvent): Commit {
  return value === undefined ? { compares: [], deletes: [key] } : { compares: [], puts: [{ key, value }] }
}
