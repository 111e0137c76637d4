/**
 * Chunk servers that answer so much slower than the others that nobody should wait for them: failures that their
 * heartbeats do not show.
 *
 * Those who read and write blocks say how long each server took. To one of them a server is slow if even the quicker
 * of its calls took several times as long as the longer calls of the others, in several reports in a row: so the whole
 * server is slow, not some of its calls large. It is held for slow once more than half of those who know it say so;
 * where all are slow, or only one observer is, nobody is. ● At most one server of five is held, and none while so many
 * do not answer: load that moves to the others must not take them down one by one.
 *
 * Being held costs a server nothing but its turn: it is read last, new blocks go to groups without it as far as there
 * are any, and no write waits for it. So nobody measures it meanwhile: it gets another chance when its time is over,
 * after twice as long each time. Everything is in memory: another coordinator starts without it, and learns again.
 */
import type { Clock, ClusterMap, DriveId, ReportSpeedsRequest, ServerSpeed, SpeedKind } from '@cairn/protocol'

/** Fewer calls than this say nothing. */
const CALLS_MIN = 3
/** Servers besides, to compare with. */
const OTHERS_MIN = 2
/** How many times as long as the others', and how much longer at least. */
const SLOW_FACTOR = 3
const SLOW_MICROS_MIN = 10_000
/** Reports in a row. */
const REPORTS_MIN = 2
/** What was not said again for so long counts no more: a few reports. */
const OPINION_MS = 30_000
/** Observers remembered; a cluster has fewer gateways. */
const OBSERVERS_MAX = 1_000
/** One of so many servers may be held, and always one. */
const SERVERS_PER_HELD = 5
/** How long a server is held at first and at most; it doubles unless it was well for as long as the latter. */
const HOLD_MS = 60_000
const HOLD_MS_MAX = 600_000

/** A server that is held for slow from now on. */
export interface HeldServer {
  readonly server: string
  /** A quarter of its calls took at most so long, by the worst of the last reports. */
  readonly lowMs: number
  readonly holdMs: number
}

export interface SlowServersOptions {
  readonly clock: Clock
  onHeld?(held: HeldServer): void
}

/** What one observer thinks of one server. */
interface Opinion {
  readonly atMs: number
  /** Reports in a row by which it is slow; 0 if it is well. */
  readonly slowReports: number
  readonly lowMicros: number
}

interface Hold {
  readonly untilMs: number
  readonly holdMs: number
  /** Of the run that was slow: a new one is not. */
  readonly runStart: number | undefined
}

export class SlowServers {
  private readonly options: SlowServersOptions
  /** By observer and server. */
  private readonly opinions = new Map<string, Map<string, Opinion>>()
  /** Also of servers that have had their time, for as long as that counts. */
  private readonly holds = new Map<string, Hold>()

  constructor(options: SlowServersOptions) {
    this.options = options
  }

  /** Takes a report. */
  note({ observer, speeds }: ReportSpeedsRequest): void {
    const nowMs = this.options.clock.monotonicMs()
    const known = this.opinions.get(observer) ?? new Map<string, Opinion>()
    if (!this.opinions.has(observer) && this.opinions.size >= OBSERVERS_MAX) return
    this.opinions.set(observer, known)
    for (const [server, slowMicros] of judgeSpeeds(speeds)) {
      if (this.isSlow(server)) continue
      const before = known.get(server)?.slowReports ?? 0
      const slowReports = slowMicros === undefined ? 0 : before + 1
      known.set(server, { atMs: nowMs, slowReports, lowMicros: slowMicros ?? 0 })
    }
  }

  /** Holds what is slow, as far as that may be; to be called every few seconds. */
  look(map: ClusterMap, answers: (drive: DriveId) => boolean): void {
    const nowMs = this.options.clock.monotonicMs()
    this.forget(map, nowMs)
    const servers = serversInUse(map)
    const slow = [...servers.keys()].filter((server) => this.isSlow(server))
    const silent = [...servers].filter(
      ([server, drives]) => !slow.includes(server) && !drives.some((drive) => answers(drive)),
    )
    let left = Math.max(1, Math.floor(servers.size / SERVERS_PER_HELD)) - slow.length - silent.length
    for (const { server, lowMicros } of this.findSlow(servers)) {
      if (left-- <= 0) return
      this.hold(server, lowMicros / 1000, map)
    }
  }

  /** Whether it is held for slow now. */
  isSlow(server: string): boolean {
    const hold = this.holds.get(server)
    return hold !== undefined && this.options.clock.monotonicMs() < hold.untilMs
  }

  private hold(server: string, lowMs: number, map: ClusterMap): void {
    const before = this.holds.get(server)
    const holdMs = before === undefined ? HOLD_MS : Math.min(HOLD_MS_MAX, before.holdMs * 2)
    const untilMs = this.options.clock.monotonicMs() + holdMs
    this.holds.set(server, { untilMs, holdMs, runStart: runOf(map, server) })
    for (const known of this.opinions.values()) known.delete(server)
    this.options.onHeld?.({ server, lowMs, holdMs })
  }

  private forget(map: ClusterMap, nowMs: number): void {
    for (const [observer, known] of this.opinions) {
      for (const [server, { atMs }] of known) if (nowMs - atMs > OPINION_MS) known.delete(server)
      if (known.size === 0) this.opinions.delete(observer)
    }
    for (const [server, { untilMs, runStart }] of this.holds) {
      if (nowMs - untilMs > HOLD_MS_MAX || runStart !== runOf(map, server)) this.holds.delete(server)
    }
  }

  /** Servers that more than half of those who know them find slow; the worst first. */
  private findSlow(servers: ReadonlyMap<string, unknown>): { server: string; lowMicros: number }[] {
    const found: { server: string; lowMicros: number }[] = []
    for (const server of servers.keys()) {
      const opinions = [...this.opinions.values()].flatMap((known) => known.get(server) ?? [])
      const against = opinions.filter(({ slowReports }) => slowReports >= REPORTS_MIN)
      if (this.isSlow(server) || against.length * 2 <= opinions.length) continue
      found.push({ server, lowMicros: Math.max(...against.map(({ lowMicros }) => lowMicros)) })
    }
    return found.sort((a, b) => b.lowMicros - a.lowMicros)
  }
}

/**
 * What one report says of each server that it says enough of: the time of its quicker calls in µs if they are slow,
 * `undefined` if it is well. Slow in one kind of calls is slow.
 */
export function judgeSpeeds(speeds: readonly ServerSpeed[]): Map<string, number | undefined> {
  const judged = new Map<string, number | undefined>()
  for (const kind of ['read', 'write'] satisfies SpeedKind[]) {
    const all = speeds.filter((each) => each.kind === kind && each.calls >= CALLS_MIN)
    for (const own of all) {
      const others = all.filter(({ server }) => server !== own.server)
      if (others.length < OTHERS_MIN) continue
      const isSlow = own.lowMicros > SLOW_FACTOR * usualMicros(others) + SLOW_MICROS_MIN
      const before = judged.get(own.server)
      judged.set(own.server, isSlow ? Math.max(before ?? 0, own.lowMicros) : before)
    }
  }
  return judged
}

/** The upper median of the longer calls. */
function usualMicros(others: readonly ServerSpeed[]): number {
  const highs = others.map(({ highMicros }) => highMicros).sort((a, b) => a - b)
  return highs[Math.floor(highs.length / 2)] ?? 0
}

/** Servers and their drives that are in service by the map. */
function serversInUse({ drives }: ClusterMap): Map<string, DriveId[]> {
  const servers = new Map<string, DriveId[]>()
  for (const { id, server, state } of drives) {
    if (state === 'dead' || state === 'out') continue
    servers.set(server, [...(servers.get(server) ?? []), id])
  }
  return servers
}

function runOf({ members }: ClusterMap, server: string): number | undefined {
  return members.find(({ id }) => id === server)?.runStart
}
