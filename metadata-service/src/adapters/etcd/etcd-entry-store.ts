/**
 * The store of a cluster: etcd, which keeps every entry on a majority of its members before it answers.
 *
 * An entry is one transaction (see `etcd-transaction.ts`), sent once: an answer that is lost is `OutcomeUnknown`, and
 * the batcher's lane settles it. Reads are linearizable and are asked again elsewhere when a member does not answer.
 */
import { CairnError, type CancelTimer, type Clock, hasCode, type Random, sameBytes } from '@cairn/protocol'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import type {
  CommitResult,
  Entry,
  EntryStore,
  LeaseId,
  Read,
  ReadResult,
  StoreEvent,
  StoreKey,
  StoreRange,
  StoreRow,
  StoreSpace,
} from '../../ports.js'
import type { Head, MirrorSource, SourceChange, SourcePage } from '../../ports-mirror.js'
import { compactEtcd, compactRegularly } from './etcd-compaction.js'
import { EtcdConnection, type EtcdLog } from './etcd-connection.js'
import { type Defragmented, defragmentEtcd } from './etcd-defragment.js'
import type { EtcdTls } from './etcd-endpoint.js'
import { outcomeUnknown } from './etcd-errors.js'
import { followEtcd, watchEtcd } from './etcd-follow.js'
import { EtcdKeys } from './etcd-keys.js'
import { EtcdLeases } from './etcd-leases.js'
import { loadEtcdLibrary } from './etcd-library.js'
import {
  ATTEMPT_MS,
  ENVELOPE_BYTES_MAX,
  HISTORY_MS,
  REQUEST_BYTES_MAX,
  SHORT_HISTORY_MS,
  TLS_LOOK_MS,
  TOTAL_MS,
} from './etcd-limits.js'
import { EtcdReads } from './etcd-reads.js'
import { EtcdSpace } from './etcd-space.js'
import { findTlsTroubles } from './etcd-tls-check.js'
import { toResults, toTransaction } from './etcd-transaction.js'

export interface EtcdEntryStoreOptions {
  /** `host:port`, or with `http://` or `https://` in front; any number of members of one cluster. */
  readonly endpoints: readonly string[]
  /** Below it lie all rows; `/cairn/` unless given. */
  readonly prefix?: string
  /** With them the connection is TLS unless an endpoint says `http://`. */
  readonly tls?: EtcdTls
  /** Asked every second: certificates that have changed since it was asked last. */
  readonly changedTls?: () => EtcdTls | undefined
  readonly user?: string
  readonly password?: string
  readonly clock: Clock
  readonly random: Random
  readonly log?: EtcdLog
  /** How long to wait for etcd at the start, in ms; 30 s unless given. */
  readonly openMs?: number
  /** Longest wait for one answer, and for one call over all members, in ms. */
  readonly attemptMs?: number
  readonly totalMs?: number
  /** Drops old history from time to time: services do, commands do not. */
  readonly compacts?: boolean
  /** Quota of a member that does not tell its own; 8 GiB unless given. */
  readonly quotaBytes?: number
}

export interface EtcdEntryStore extends EntryStore, MirrorSource {
  /** Drops history before the revision: followers that have not come so far get `Busy`. */
  compact(beforeRevision: number): Promise<void>
  space(): readonly StoreSpace[]
  /** Drops all history and makes the file of each member small, one after another; see `etcd-defragment.ts`. */
  defragment(onMember: (done: Defragmented) => void): Promise<void>
}

const OPEN_MS = 30_000

/**
 * Connects to etcd. `PeerRejected` if it refuses our user, password or certificate, or we its certificate; `Busy` if
 * no member answers in time.
 */
export async function openEtcdEntryStore(options: EtcdEntryStoreOptions): Promise<EtcdEntryStore> {
  const library = await loadEtcdLibrary()
  const { attemptMs = ATTEMPT_MS, totalMs = TOTAL_MS } = options
  const connection = new EtcdConnection(library, { ...options, attemptMs, totalMs })
  const store = new RemoteEntryStore(connection, options)
  try {
    await store.greet({ ...options, attemptMs })
    return store
  } catch (error) {
    await store.close()
    throw error
  }
}

class RemoteEntryStore implements EtcdEntryStore {
  private readonly connection: EtcdConnection
  private readonly keys: EtcdKeys
  private readonly reads: EtcdReads
  private readonly leases: EtcdLeases
  private readonly clock: Clock
  private readonly fullness: EtcdSpace
  private readonly stopCompaction: CancelTimer = () => undefined
  private stopTlsWatch: CancelTimer = () => undefined

  constructor(connection: EtcdConnection, options: EtcdEntryStoreOptions) {
    this.connection = connection
    this.clock = options.clock
    this.keys = new EtcdKeys(options.prefix ?? '/cairn/')
    this.reads = new EtcdReads(connection, this.keys)
    this.leases = new EtcdLeases({ ...options, connection })
    this.fullness = new EtcdSpace({ ...options, connection })
    if (options.compacts === true) this.stopCompaction = this.compactRegularly(options)
    if (options.changedTls !== undefined) this.watchTls(options.changedTls)
  }

  /**
   * Waits until etcd answers: one member is enough. A certificate that does not fit ends the wait only if it is so with
   * all members.
   */
  async greet(options: EtcdEntryStoreOptions & { readonly attemptMs: number }): Promise<void> {
    const untilMs = this.clock.monotonicMs() + (options.openMs ?? OPEN_MS)
    for (;;) {
      const answer = this.reads.revision()
      try {
        await Promise.race([answer, assertFitting(options)])
        await answer
        return
      } catch (error) {
        if (!hasCode(error, 'Busy') || this.clock.monotonicMs() >= untilMs) throw error
      }
    }
  }

  async apply(entry: Entry): Promise<readonly CommitResult[]> {
    this.connection.assertOpen()
    const request = this.connection.encode('txn', toTransaction(this.keys, entry))
    if (request.length > REQUEST_BYTES_MAX - ENVELOPE_BYTES_MAX) {
      throw new CairnError('MessageTooLarge', `an entry of ${request.length} bytes`)
    }
    try {
      return toResults(this.keys, entry, await this.connection.send('txn', request))
    } catch (error) {
      if (hasCode(error, 'DriveFull')) {
        this.fullness.noteRefused()
        await this.assertNotApplied(entry, error)
      }
      throw error
    }
  }

  read(reads: readonly Read[]): Promise<ReadResult> {
    return this.whileOpen(() => this.reads.read(reads))
  }

  rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]> {
    return this.whileOpen(() => this.reads.rowsAt(keys, revision))
  }

  watch(range: StoreRange, fromRevision: number, signal: AbortSignal): AsyncIterable<StoreEvent> {
    return watchEtcd(this.follow(fromRevision, signal), range)
  }

  grantLease(ttlMs: number): Promise<LeaseId> {
    return this.whileOpen(() => this.leases.grant(ttlMs))
  }

  renewLease(lease: LeaseId): Promise<void> {
    return this.whileOpen(() => this.leases.renew(lease))
  }

  revokeLease(lease: LeaseId): Promise<void> {
    return this.whileOpen(() => this.leases.revoke(lease))
  }

  head(): Promise<Head> {
    return this.whileOpen(() => this.reads.head())
  }

  follow(fromRevision: number, signal: AbortSignal): AsyncIterable<SourceChange> {
    const { connection, keys, clock } = this
    const options = { connection, keys, clock, headKey: HEAD_KEY, head: () => this.head() }
    return followEtcd(options, fromRevision, signal)
  }

  page(range: StoreRange, limit: number, revision?: number): Promise<SourcePage> {
    return this.whileOpen(() => this.reads.page(range, limit, revision))
  }

  count(range: StoreRange): Promise<number> {
    return this.whileOpen(() => this.reads.count(range))
  }

  compact(beforeRevision: number): Promise<void> {
    return this.whileOpen(() => compactEtcd(this.connection, beforeRevision))
  }

  get isShort(): boolean {
    return this.fullness.isShort
  }

  space(): readonly StoreSpace[] {
    return this.fullness.members
  }

  defragment(onMember: (done: Defragmented) => void): Promise<void> {
    return this.whileOpen(async () => defragmentEtcd(this.connection, await this.reads.revision(), onMember))
  }

  async close(): Promise<void> {
    this.fullness.stop()
    this.stopCompaction()
    this.stopTlsWatch()
    this.connection.close()
  }

  private compactRegularly(options: Pick<EtcdEntryStoreOptions, 'clock' | 'log'>): CancelTimer {
    const historyMs = (): number => (this.isShort ? SHORT_HISTORY_MS : HISTORY_MS)
    const revision = (): Promise<number> => this.reads.revision()
    return compactRegularly({ ...options, connection: this.connection, historyMs, revision })
  }

  /** Calls under way are not disturbed; further ones use the new certificates. */
  private watchTls(changed: () => EtcdTls | undefined): void {
    this.stopTlsWatch = this.clock.setTimer(TLS_LOOK_MS, () => {
      const tls = changed()
      if (tls !== undefined) this.connection.replaceTls(tls)
      this.watchTls(changed)
    })
  }

  private async whileOpen<T>(action: () => Promise<T>): Promise<T> {
    this.connection.assertOpen()
    return action()
  }

  /**
   * The one refusal that is none: a member that finds its quota exceeded while it applies an entry does apply it, and
   * then answers that there is no space. The row of the fence tells; that answer is the last word on the entry.
   */
  private async assertNotApplied({ fence }: Entry, cause: CairnError): Promise<void> {
    if (fence === undefined) throw outcomeUnknown('it ran out of space', cause)
    const read = this.reads.read([{ kind: 'get', key: fence.key }])
    const { results } = await read.catch((error: unknown) => {
      throw outcomeUnknown('it ran out of space', error)
    })
    const value = results[0]?.[0]?.value
    const isSame =
      value === undefined || fence.value === undefined ? value === fence.value : sameBytes(value, fence.value)
    if (!isSame) throw outcomeUnknown('it ran out of space', cause)
  }
}

/** Looks at the certificates of all members that are asked over TLS. `PeerRejected` if those of none fit. */
async function assertFitting(options: EtcdEntryStoreOptions & { readonly attemptMs: number }): Promise<void> {
  const { endpoints, log } = options
  const troubles = await findTlsTroubles(options)
  for (const err of troubles) log?.error({ err }, 'etcd: the certificates of a member and ours do not fit')
  const [first] = troubles
  if (first !== undefined && troubles.length === endpoints.length) throw first
}
