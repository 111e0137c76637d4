/**
 * Leases of etcd. Any service may renew any of them, so whether one lives is etcd's to say; only when etcd cannot be
 * asked does our own clock decide, counted from before the last renewal was sent: a lease whose time is over is then
 * reported as ended, never as alive. A renewal whose answer came after that time does not count either.
 *
 * etcd counts in seconds, gives at least a few, and ends leases about a second late: a row may outlive its lease
 * by that, and by as long as etcd is without a leader.
 */
import { AgingMap, CairnError, type Clock, hasCode, type Random } from '@cairn/protocol'
import type { LeaseId } from '../../ports.js'
import { checkTtl } from '../embedded/check-request.js'
import type { EtcdConnection } from './etcd-connection.js'
import { hasReason } from './etcd-errors.js'
import { LEASES_KNOWN_MAX } from './etcd-limits.js'
import { leaseNumber } from './etcd-transaction.js'

export interface EtcdLeasesOptions {
  readonly connection: EtcdConnection
  readonly clock: Clock
  readonly random: Random
}

interface KnownLease {
  readonly ttlMs: number
  /** Monotonic. */
  readonly endsAtMs: number
}

export class EtcdLeases {
  private readonly options: EtcdLeasesOptions
  private readonly known = new AgingMap<LeaseId, KnownLease>()

  constructor(options: EtcdLeasesOptions) {
    this.options = options
  }

  /** See `EntryStore.grantLease`. The id is ours, so that a second attempt after a lost answer is the same lease. */
  async grant(ttlMs: number): Promise<LeaseId> {
    checkTtl(ttlMs)
    const { connection, clock } = this.options
    const id = this.drawId()
    const sentAtMs = clock.monotonicMs()
    try {
      await connection.ask('leaseGrant', { ID: id, TTL: Math.ceil(ttlMs / 1000) })
    } catch (error) {
      if (!hasReason(error, 'lease exists')) throw error
    }
    this.remember(String(id), { ttlMs, endsAtMs: sentAtMs + ttlMs })
    return String(id)
  }

  /** See `EntryStore.renewLease`. */
  async renew(lease: LeaseId): Promise<void> {
    const { connection, clock } = this.options
    const known = this.known.get(lease)
    const sentAtMs = clock.monotonicMs()
    const seconds = await this.keepAlive(lease).catch((error: unknown) => {
      const isOver = known !== undefined && clock.monotonicMs() >= known.endsAtMs
      if (isOver && hasCode(error, 'Busy', 'OutcomeUnknown')) throw this.ended(lease, error)
      connection.assertOpen()
      throw error
    })
    const ttlMs = known?.ttlMs ?? seconds * 1000
    if (seconds <= 0 || clock.monotonicMs() >= sentAtMs + ttlMs) throw this.ended(lease)
    this.remember(lease, { ttlMs, endsAtMs: sentAtMs + ttlMs })
  }

  /** See `EntryStore.revokeLease`. */
  async revoke(lease: LeaseId): Promise<void> {
    this.known.delete(lease)
    try {
      await this.options.connection.ask('leaseRevoke', { ID: leaseNumber(lease) })
    } catch (error) {
      if (!hasCode(error, 'SessionExpired')) throw error
    }
  }

  /** Seconds that the lease has from now; 0 when it has ended. On the wire a stream of one request is a plain call. */
  private async keepAlive(lease: LeaseId): Promise<number> {
    const { TTL } = await this.options.connection.ask('leaseKeepAlive', { ID: leaseNumber(lease) })
    return TTL ?? 0
  }

  private ended(lease: LeaseId, cause?: unknown): CairnError {
    this.known.delete(lease)
    return new CairnError('SessionExpired', `lease ${lease} has ended`, { cause })
  }

  private remember(lease: LeaseId, known: KnownLease): void {
    this.known.set(lease, known)
    if (this.known.size > LEASES_KNOWN_MAX) this.known.takeOldest()
  }

  /** Random, above 0, and exact as a number. */
  private drawId(): number {
    const bytes = Buffer.from(this.options.random.bytes(6))
    return 1 + bytes.readUIntBE(0, 6)
  }
}
