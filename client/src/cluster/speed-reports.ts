/**
 * Tells the metadata service how long chunk servers took to answer, so that one that is much slower than the others is
 * found out though it says itself that it is well. Measures nothing of its own: it looks at what reads and writes have
 * left behind. A report that is lost is made up for by the next one.
 */
import {
  type CancelTimer,
  type Clock,
  formatId,
  LIST_PAGE_MAX,
  type Random,
  reportSpeeds,
  type ServerSpeed,
  type SpeedKind,
} from '@cairn/protocol'
import { SPEED_REPORT_MS } from '../limits.js'
import type { ClusterView, MemberPeer } from './cluster-view.js'
import type { LatencyWindow } from './latency.js'
import type { MetadataCaller } from './metadata-caller.js'

export interface SpeedReportsOptions {
  readonly metadata: MetadataCaller
  readonly view: ClusterView
  readonly clock: Clock
  readonly random: Random
  /** Only gateways are believed; others look for themselves. */
  readonly tells: boolean
}

interface Seen {
  readonly reads: number
  readonly writes: number
}

export class SpeedReports {
  private readonly options: SpeedReportsOptions
  private readonly observer: string
  private seen = new Map<MemberPeer, Seen>()
  private cancelTimer: CancelTimer | undefined

  constructor(options: SpeedReportsOptions) {
    this.options = options
    this.observer = options.tells ? formatId(options.random.bytes(8)) : ''
  }

  /** Looks again and again until `close`. */
  start(): void {
    this.cancelTimer = this.options.clock.setTimer(SPEED_REPORT_MS, () => {
      this.start()
      this.look()
    })
  }

  close(): void {
    this.cancelTimer?.()
  }

  private look(): void {
    const speeds: ServerSpeed[] = []
    const seen = new Map<MemberPeer, Seen>()
    for (const [server, peer] of this.options.view.members) {
      const { reads, writes } = peer
      const before = this.seen.get(peer)
      speeds.push(...describe({ server, kind: 'read' }, reads, before?.reads))
      speeds.push(...describe({ server, kind: 'write' }, writes, before?.writes))
      // A peer that was too slow to be read from gets another try some time: nothing else would tell of its recovery.
      if (reads.total > 0 && reads.total === before?.reads) reads.fade()
      seen.set(peer, { reads: reads.total, writes: writes.total })
    }
    this.seen = seen
    if (this.options.tells && speeds.length > 0) this.tell(speeds).catch(() => undefined)
  }

  private async tell(all: readonly ServerSpeed[]): Promise<void> {
    const { metadata, view } = this.options
    const speeds = all.slice(0, LIST_PAGE_MAX)
    const { epoch } = await metadata.read(reportSpeeds, { observer: this.observer, speeds })
    if (epoch > view.epoch) await view.refresh()
  }
}

/** Nothing of a peer without calls since then. */
function describe(
  of: { readonly server: string; readonly kind: SpeedKind },
  window: LatencyWindow,
  before = 0,
): ServerSpeed[] {
  // Fewer than before: it was cleared meanwhile.
  const calls = window.total >= before ? window.total - before : window.total
  if (calls === 0) return []
  const latest = window.latest(calls)
  const micros = (share: number): number =>
    Math.round(1000 * (latest[Math.floor(latest.length * share)] ?? 0))
  return [{ ...of, calls, lowMicros: micros(0.25), highMicros: micros(0.75) }]
}
