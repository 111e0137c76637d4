/**
 * Applies the changes of the store to a mirror's file, all that arrived in a turn as one transaction.
 *
 * ● Nothing is applied behind a gap. Revisions rise; `head`, which every entry rewrites, raises its version by one
 * each time; so an entry that is missing shows at the next one. What came before the gap is applied, and the feed
 * ends with `Busy`: whoever runs it asks again from what is applied. Another incarnation in `m/cluster` means another
 * store: `PeerRejected`.
 */
import { CairnError, type Clock } from '@cairn/protocol'
import { CLUSTER_KEY, ClusterRow } from '../../core/rows/cluster-state-rows.js'
import type { StoreRow } from '../../ports.js'
import type { MirrorSource, SourceChange, SourceEvent } from '../../ports-mirror.js'
import type { MirrorFile, MirrorPlace } from './mirror-file.js'
import { APPLY_CHANGES_MAX, APPLY_EVENTS_MAX } from './mirror-limits.js'

export interface MirrorFeedOptions {
  readonly source: MirrorSource
  readonly clock: Clock
  readonly file: MirrorFile
  /** The file goes further than before. */
  onApplied(): void
}

/** Runs until `signal` aborts; rejects with whatever ended it. */
export async function feedMirror(options: MirrorFeedOptions, signal: AbortSignal): Promise<void> {
  const feed = new Feed(options)
  const abort = new AbortController()
  const stop = (): void => abort.abort()
  signal.addEventListener('abort', stop)
  feed.onFailure = stop
  try {
    await feed.run(abort.signal)
  } finally {
    signal.removeEventListener('abort', stop)
    feed.close()
  }
  if (feed.failure !== undefined) throw feed.failure
}

class Feed {
  failure: unknown
  onFailure: (() => void) | undefined
  private readonly options: MirrorFeedOptions
  private pending: SourceChange[] = []
  private pendingEvents = 0
  /** Where `pending` ends. */
  private next: MirrorPlace
  /** Of the last change of `m/cluster` that was taken. */
  private incarnation: string | undefined
  private isScheduled = false
  private isClosed = false

  constructor(options: MirrorFeedOptions) {
    this.options = options
    this.next = options.file.place
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      for await (const change of this.options.source.follow(this.next.revision, signal)) {
        if (signal.aborted) return
        this.take(change)
        if (this.pending.length < APPLY_CHANGES_MAX && this.pendingEvents < APPLY_EVENTS_MAX) this.schedule()
        else await this.applyNow()
      }
    } finally {
      this.apply()
    }
  }

  close(): void {
    this.isClosed = true
  }

  private take(change: SourceChange): void {
    this.next = placeAfter(this.next, change)
    for (const event of change.events) if (isClusterRow(event)) this.assertSameStore(event)
    this.pending.push(change)
    this.pendingEvents += change.events.length
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.options.clock.defer(() => {
      this.isScheduled = false
      this.tryApply()
    })
  }

  /** Lets others have a turn after so many. */
  private async applyNow(): Promise<void> {
    this.apply()
    await new Promise<void>((resolve) => this.options.clock.defer(resolve))
  }

  private tryApply(): void {
    try {
      if (!this.isClosed) this.apply()
    } catch (error) {
      this.failure = error
      this.onFailure?.()
    }
  }

  private apply(): void {
    const changes = this.pending
    if (changes.length === 0 || this.failure !== undefined) return
    this.pending = []
    this.pendingEvents = 0
    this.options.file.apply(changes, endOf(this.options.file.place, changes))
    this.options.onApplied()
  }

  private assertSameStore({ value }: SourceEvent): void {
    const known = this.incarnation ?? incarnationOf(this.options.file.find(CLUSTER_KEY))
    const found = value === undefined ? undefined : ClusterRow.decode(value).incarnation
    this.incarnation = found
    if (known === undefined || known === found) return
    throw new CairnError('PeerRejected', 'the store has another incarnation')
  }
}

/** The incarnation in the row `m/cluster`. */
function incarnationOf(row: StoreRow | undefined): string | undefined {
  return row === undefined ? undefined : ClusterRow.decode(row.value).incarnation
}

function isClusterRow({ key }: SourceEvent): boolean {
  return Buffer.compare(key, CLUSTER_KEY) === 0
}

function endOf(place: MirrorPlace, changes: readonly SourceChange[]): MirrorPlace {
  return changes.reduce(placeAfter, place)
}

/** `Busy` if something is missing before the change, or it is not above the last one. */
export function placeAfter({ revision, head }: MirrorPlace, change: SourceChange): MirrorPlace {
  if (change.revision <= revision) {
    throw new CairnError('Busy', `revision ${change.revision} came after ${revision}`)
  }
  if (change.headVersion === undefined) return { revision: change.revision, head }
  if (change.headVersion !== head.version + 1) {
    throw new CairnError('Busy', `head ${change.headVersion} came after ${head.version}`)
  }
  return { revision: change.revision, head: { revision: change.revision, version: change.headVersion } }
}
