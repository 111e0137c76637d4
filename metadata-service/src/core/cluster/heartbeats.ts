/** What chunk servers last said about their drives. Kept in memory: the store sees changes of state only. */
import type { Clock, DriveId, DriveReport, HeartbeatRequest } from '@cairn/protocol'

/** The last report of one server. */
export interface ServerHeartbeat {
  readonly server: string
  readonly receivedAtMs: number
  readonly reports: readonly DriveReport[]
}

/** The last that was heard of one drive. */
export interface DriveHeartbeat {
  readonly report: DriveReport
  /** When it last said that it was healthy: monotonic; `undefined` if never to this service. */
  readonly healthyAtMs: number | undefined
}

export class Heartbeats {
  private readonly clock: Clock
  private readonly byServer = new Map<string, ServerHeartbeat>()
  private readonly byDrive = new Map<DriveId, DriveHeartbeat>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  record(request: HeartbeatRequest): void {
    const { server, reports } = request
    const receivedAtMs = this.clock.monotonicMs()
    this.byServer.set(server, { server, reports, receivedAtMs })
    for (const report of reports) {
      const healthyAtMs = report.healthy ? receivedAtMs : this.byDrive.get(report.drive)?.healthyAtMs
      this.byDrive.set(report.drive, { report, healthyAtMs })
    }
  }

  /** Servers in the order of their first report. */
  all(): ServerHeartbeat[] {
    return [...this.byServer.values()]
  }

  /** What a drive said last; `undefined` if nothing to this service. */
  ofDrive(drive: DriveId): DriveHeartbeat | undefined {
    return this.byDrive.get(drive)
  }

  /** The server's last report names this drive, unless its folder has been gone for `goneMs`. */
  isHeld(server: string, drive: DriveId, goneMs: number): boolean {
    const report = this.byServer.get(server)?.reports.find((each) => each.drive === drive)
    if (report?.gone !== true) return report !== undefined
    const healthyAtMs = this.byDrive.get(drive)?.healthyAtMs
    return healthyAtMs !== undefined && this.clock.monotonicMs() - healthyAtMs < goneMs
  }

  /** The server was heard at `sinceMs` or later, and its last report names this drive, with its folder. */
  isReported(server: string, drive: DriveId, sinceMs: number): boolean {
    const last = this.byServer.get(server)
    if (last === undefined || last.receivedAtMs < sinceMs) return false
    return last.reports.some((each) => each.drive === drive && each.gone !== true)
  }

  /** Milliseconds since the server was last heard; `undefined` if never by this service. */
  silentMs(server: string): number | undefined {
    const last = this.byServer.get(server)
    return last === undefined ? undefined : this.clock.monotonicMs() - last.receivedAtMs
  }
}
