/**
 * How long each drive has been without a healthy report, and what it counts as.
 *
 * Silence is counted in looks, each worth at most LOOK_MS_MAX: a service that stood still itself, paused or starved,
 * has heard nobody and must not take the others for dead.
 */
import type { Clock, ClusterMap, DriveId } from '@cairn/protocol'
import type { Heartbeats } from './heartbeats.js'

/** Most that one look adds to a silence: a few times the pause between two looks. */
const LOOK_MS_MAX = 10_000

export interface DriveStatesOptions {
  readonly clock: Clock
  readonly heartbeats: Heartbeats
  readonly suspectSeconds: number
  readonly deadSeconds: number
}

/** What a drive counts as by its reports alone; the map may say more. */
export type DriveCondition = 'up' | 'suspect' | 'dead'

interface Silence {
  healthyAtMs: number | undefined
  silentMs: number
}

export class DriveStates {
  private readonly options: DriveStatesOptions
  private silences = new Map<DriveId, Silence>()
  private lookedAtMs: number | undefined

  constructor(options: DriveStatesOptions) {
    this.options = options
  }

  /** Counts the time since the last look; to be called every few seconds. */
  look(map: ClusterMap): void {
    const nowMs = this.options.clock.monotonicMs()
    const sinceMs = Math.min(LOOK_MS_MAX, nowMs - (this.lookedAtMs ?? nowMs))
    this.lookedAtMs = nowMs
    const silences = new Map<DriveId, Silence>()
    for (const { id } of map.drives) silences.set(id, this.listen(id, sinceMs))
    this.silences = silences
  }

  /** `suspect` too until a drive has been heard at all. */
  of(drive: DriveId): DriveCondition {
    const silence = this.silences.get(drive)
    const { deadSeconds, suspectSeconds, heartbeats } = this.options
    const heard = heartbeats.ofDrive(drive)
    if (silence !== undefined && heard?.healthyAtMs !== silence.healthyAtMs) return 'up'
    const silentMs = silence?.silentMs ?? 0
    if (silentMs >= deadSeconds * 1000) return 'dead'
    return heard?.healthyAtMs === undefined || silentMs >= suspectSeconds * 1000 ? 'suspect' : 'up'
  }

  /** By its last report it takes no writes. */
  refusesWrites(drive: DriveId): boolean {
    return this.options.heartbeats.ofDrive(drive)?.report.healthy === false
  }

  /** It has been heard, is healthy by its last report, and not silent for long. */
  answers(drive: DriveId): boolean {
    return this.of(drive) === 'up' && this.options.heartbeats.ofDrive(drive)?.report.healthy === true
  }

  private listen(drive: DriveId, sinceMs: number): Silence {
    const healthyAtMs = this.options.heartbeats.ofDrive(drive)?.healthyAtMs
    const known = this.silences.get(drive)
    if (known === undefined || known.healthyAtMs !== healthyAtMs) return { healthyAtMs, silentMs: 0 }
    return { healthyAtMs, silentMs: known.silentMs + sinceMs }
  }
}
