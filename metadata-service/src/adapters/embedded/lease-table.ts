/** The living leases of an embedded store, by monotonic time: a paused process may lengthen one, never shorten it. */
import { CairnError, type CancelTimer, type Clock } from '@cairn/protocol'
import type { LeaseId } from '../../ports.js'

interface Lease {
  readonly ttlMs: number
  dueMs: number
}

export interface LeaseTable {
  has(lease: LeaseId): boolean
  /** Starts (or, after a restart of the store, starts again) a lease. */
  start(lease: LeaseId, ttlMs: number): void
  /** `SessionExpired` once it has ended. */
  renew(lease: LeaseId): void
  end(lease: LeaseId): void
  /** Leases whose time has passed; they stay until `end`. */
  due(): LeaseId[]
  close(): void
}

/** `onDue` runs when a lease may be due; `due` is the truth. */
export function createLeaseTable(clock: Clock, onDue: () => void): LeaseTable {
  return new TimedLeases(clock, onDue)
}

/** Time between two tries to end leases that are due when the first one failed. */
const RETRY_MS = 1_000

class TimedLeases implements LeaseTable {
  private readonly clock: Clock
  private readonly onDue: () => void
  private readonly leases = new Map<LeaseId, Lease>()
  private earliestMs = Number.POSITIVE_INFINITY
  private cancelTimer: CancelTimer | undefined

  constructor(clock: Clock, onDue: () => void) {
    this.clock = clock
    this.onDue = onDue
  }

  has(lease: LeaseId): boolean {
    return this.leases.has(lease)
  }

  start(lease: LeaseId, ttlMs: number): void {
    const dueMs = this.clock.monotonicMs() + ttlMs
    this.leases.set(lease, { ttlMs, dueMs })
    if (dueMs < this.earliestMs) this.arm(dueMs)
  }

  renew(lease: LeaseId): void {
    const found = this.leases.get(lease)
    if (found === undefined) throw new CairnError('SessionExpired', `lease ${lease} has ended`)
    found.dueMs = this.clock.monotonicMs() + found.ttlMs
  }

  end(lease: LeaseId): void {
    this.leases.delete(lease)
  }

  due(): LeaseId[] {
    const nowMs = this.clock.monotonicMs()
    if (nowMs < this.earliestMs) return []
    const ended = [...this.leases].filter(([, lease]) => lease.dueMs <= nowMs).map(([id]) => id)
    if (ended.length === 0) this.arm(this.nextDueMs())
    return ended
  }

  close(): void {
    this.cancelTimer?.()
    this.earliestMs = Number.POSITIVE_INFINITY
    this.leases.clear()
  }

  private nextDueMs(): number {
    let nextMs = Number.POSITIVE_INFINITY
    for (const lease of this.leases.values()) nextMs = Math.min(nextMs, lease.dueMs)
    return nextMs
  }

  private arm(dueMs: number): void {
    this.cancelTimer?.()
    this.cancelTimer = undefined
    this.earliestMs = dueMs
    if (dueMs === Number.POSITIVE_INFINITY) return
    this.cancelTimer = this.clock.setTimer(dueMs - this.clock.monotonicMs(), () => this.fire())
  }

  private fire(): void {
    this.onDue()
    const nextMs = this.nextDueMs()
    const nowMs = this.clock.monotonicMs()
    this.arm(nextMs <= nowMs ? nowMs + RETRY_MS : nextMs)
  }
}
