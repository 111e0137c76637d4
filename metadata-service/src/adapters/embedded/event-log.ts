/**
 * The recent events of an embedded store, for its watchers: a bounded log in memory. A watcher holds only its
 * place in it, so a slow one costs nothing; one that falls behind the log gets `Busy` and reads its range anew.
 */
import { CairnError } from '@cairn/protocol'
import type { StoreEvent, StoreKey, StoreRange } from '../../ports.js'
import { WATCH_BYTES_MAX, WATCH_EVENTS_MAX } from './entry-store-limits.js'

export interface EventLog {
  /** Adds the events of one entry. Revisions rise from call to call. */
  append(events: readonly StoreEvent[]): void
  /** See `EntryStore.watch`. */
  watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent>
  /** Ends all watchers with `ShuttingDown`. */
  close(): void
}

/** Bounds of the log; events beyond them are forgotten, oldest first. */
export interface EventLogBounds {
  readonly events: number
  readonly bytes: number
}

const DEFAULT_BOUNDS: EventLogBounds = { events: WATCH_EVENTS_MAX, bytes: WATCH_BYTES_MAX }

/** A log that starts after `startRevision`: what happened up to it is not known. */
export function createEventLog(startRevision: number, bounds: EventLogBounds = DEFAULT_BOUNDS): EventLog {
  return new RecentEvents(startRevision, bounds)
}

class RecentEvents implements EventLog {
  private readonly bounds: EventLogBounds
  private events: StoreEvent[] = []
  /** Number of the event at `events[0]`, counted from the start. */
  private base = 0
  /** Events of this revision and older ones may be missing. */
  private lostThrough: number
  private bytes = 0
  private closed = false
  private readonly waiters = new Set<() => void>()

  constructor(startRevision: number, bounds: EventLogBounds) {
    this.lostThrough = startRevision
    this.bounds = bounds
  }

  append(events: readonly StoreEvent[]): void {
    for (const event of events) {
      this.events.push(event)
      this.bytes += sizeOf(event)
    }
    this.forgetOldest()
    this.wake()
  }

  close(): void {
    this.closed = true
    this.events = []
    this.wake()
  }

  async *watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncGenerator<StoreEvent> {
    if (fromRevision < this.lostThrough) throw tooOld(fromRevision)
    let place = this.base + this.indexAfter(fromRevision)
    while (!signal.aborted) {
      this.assertKept(place, fromRevision)
      const event = this.events[place - this.base]
      if (event === undefined) {
        await this.nextAppend(signal)
      } else {
        place++
        if (event.revision > fromRevision && isWithin(range, event.key)) yield event
      }
    }
  }

  private assertKept(place: number, fromRevision: number): void {
    if (this.closed) throw new CairnError('ShuttingDown', 'the store is closed')
    if (place < this.base) throw tooOld(fromRevision)
  }

  /** Drops a quarter at a time, so that the cost per event stays small. */
  private forgetOldest(): void {
    while (
      this.events.length > this.bounds.events ||
      (this.bytes > this.bounds.bytes && this.events.length > 0)
    ) {
      const dropped = this.events.splice(0, Math.ceil(this.events.length / 4))
      for (const event of dropped) {
        this.bytes -= sizeOf(event)
        this.lostThrough = event.revision
      }
      this.base += dropped.length
    }
  }

  private indexAfter(revision: number): number {
    let low = 0
    let high = this.events.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.events[middle]?.revision ?? 0) > revision) high = middle
      else low = middle + 1
    }
    return low
  }

  private nextAppend(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        this.waiters.delete(wake)
        resolve()
      }
      signal.addEventListener('abort', wake)
      this.waiters.add(wake)
    })
  }

  private wake(): void {
    for (const waiter of [...this.waiters]) waiter()
  }
}

function sizeOf(event: StoreEvent): number {
  return event.key.length + (event.value?.length ?? 0)
}

function isWithin(range: StoreRange, key: StoreKey): boolean {
  return Buffer.compare(range.from, key) <= 0 && Buffer.compare(key, range.to) < 0
}

function tooOld(revision: number): CairnError {
  return new CairnError('Busy', `events after revision ${revision} are no longer kept`)
}
