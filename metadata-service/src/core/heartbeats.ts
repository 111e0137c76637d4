/** What chunk servers last said about their drives. Kept in memory: the store sees changes of state only. */
import type { Clock, DriveReport, HeartbeatRequest } from '@cairn/protocol'

/** The last report of one server. */
export interface ServerHeartbeat {
  readonly server: string
  readonly receivedAtMs: number
  readonly reports: readonly DriveReport[]
}

export class Heartbeats {
  private readonly clock: Clock
  private readonly byServer = new Map<string, ServerHeartbeat>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  record(request: HeartbeatRequest): void {
    const { server, reports } = request
    this.byServer.set(server, { server, reports, receivedAtMs: this.clock.monotonicMs() })
  }

  /** Servers in the order of their first report. */
  all(): ServerHeartbeat[] {
    return [...this.byServer.values()]
  }

  /** Milliseconds since the server was last heard; `undefined` if never by this service. */
  silentMs(server: string): number | undefined {
    const last = this.byServer.get(server)
    return last === undefined ? undefined : this.clock.monotonicMs() - last.receivedAtMs
  }
}
