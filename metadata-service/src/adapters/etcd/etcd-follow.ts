/**
 * Following the store by etcd's watch, which is taken for a hint only: etcd 3.4 is known to lose events and to go back
 * in time, and a stream may fall silent for ever. What a follower is given is in order and without a gap, or it ends
 * with `Busy` and has to begin anew:
 *
 * - revisions only rise, and the events of one revision come together, however they were cut up on the way;
 * - every entry writes `head`, so its version rises by one from entry to entry;
 * - after some silence the head is read: a follower that does not reach it has lost its stream;
 * - a stream that ends, for whatever reason, is not opened again behind the follower's back.
 */
import { type CairnError, type CancelTimer, type Clock, hasCode, toCairnError } from '@cairn/protocol'
import type { StoreEvent, StoreRange } from '../../ports.js'
import type { Head, SourceChange } from '../../ports-mirror.js'
import type { EtcdConnection } from './etcd-connection.js'
import { doubt, FollowPlace, type FollowPlaceOptions } from './etcd-follow-place.js'
import { CATCH_UP_MS, SILENCE_MS } from './etcd-limits.js'
import type { WatchResponse } from './etcd-messages.js'

export interface FollowOptions extends FollowPlaceOptions {
  readonly connection: EtcdConnection
  readonly clock: Clock
  readonly head: () => Promise<Head>
}

/** See `MirrorSource.follow`. */
export async function* followEtcd(
  options: FollowOptions,
  fromRevision: number,
  signal: AbortSignal,
): AsyncGenerator<SourceChange> {
  const { connection, keys } = options
  connection.assertOpen()
  if (signal.aborted) return
  const stream = await connection.openStream('watch')
  stream.on('error', () => undefined)
  if (signal.aborted) return stream.cancel()
  const place = new FollowPlace(options, fromRevision)
  const end = (): void => stream.cancel()
  let failure: CairnError | undefined
  signal.addEventListener('abort', end)
  const guard = new Guard(options, place, (error) => {
    failure = error
    stream.cancel()
  })
  try {
    const start = { start_revision: fromRevision + 1, progress_notify: true, fragment: true }
    stream.write({ create_request: { ...keys.all, ...start } })
    for await (const answer of stream) {
      place.isWaiting = false
      yield* place.take(answer as WatchResponse)
      place.isWaiting = true
    }
    throw doubt('its stream has ended')
  } catch (error) {
    if (signal.aborted) return
    connection.assertOpen()
    throw failure ?? (hasCode(error, 'Busy') ? error : doubt('its stream broke', error))
  } finally {
    guard.stop()
    signal.removeEventListener('abort', end)
    stream.cancel()
  }
}

/** See `EntryStore.watch`. */
export async function* watchEtcd(
  changes: AsyncIterable<SourceChange>,
  range: StoreRange,
): AsyncGenerator<StoreEvent> {
  for await (const { revision, events } of changes) {
    for (const { key, value } of events) {
      if (Buffer.compare(range.from, key) > 0 || Buffer.compare(key, range.to) >= 0) continue
      yield value === undefined ? { revision, key } : { revision, key, value }
    }
  }
}

/** Ends the stream when the follower has lost touch with the store. */
class Guard {
  private readonly options: FollowOptions
  private readonly place: FollowPlace
  private readonly giveUp: (error: CairnError) => void
  private answersSeen = 0
  private expected: { readonly revision: number; readonly untilMs: number } | undefined
  private isStopped = false
  private cancelTimer: CancelTimer = () => undefined

  constructor(options: FollowOptions, place: FollowPlace, giveUp: (error: CairnError) => void) {
    this.options = options
    this.place = place
    this.giveUp = giveUp
    this.lookLater()
  }

  stop(): void {
    this.isStopped = true
    this.cancelTimer()
  }

  private lookLater(): void {
    this.cancelTimer = this.options.clock.setTimer(SILENCE_MS, () => {
      this.look().then(
        () => this.isStopped || this.lookLater(),
        (error) => this.isStopped || this.giveUp(toCairnError(error)),
      )
    })
  }

  /** A follower that is busy with what it was given is not waiting for the store. */
  private async look(): Promise<void> {
    const { place, expected, answersSeen } = this
    this.answersSeen = place.answers
    if (!place.isWaiting || (expected !== undefined && place.revision >= expected.revision)) {
      this.expected = undefined
    } else if (expected !== undefined) {
      this.assertInTime(expected)
    } else if (place.answers === answersSeen) {
      await this.compareWithHead()
    }
  }

  private assertInTime({ revision, untilMs }: { revision: number; untilMs: number }): void {
    if (this.options.clock.monotonicMs() >= untilMs) throw doubt(`revision ${revision} did not come`)
  }

  private async compareWithHead(): Promise<void> {
    const { revision } = await this.options.head()
    if (revision <= this.place.revision) return
    this.expected = { revision, untilMs: this.options.clock.monotonicMs() + CATCH_UP_MS }
  }
}
