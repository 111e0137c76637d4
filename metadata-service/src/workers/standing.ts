/** Keeps the place of this service among the others: its lease and row, who coordinates, and who else lives. */
import { type Clock, formatId, inTime, type Random } from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import { Coordinator } from '../core/services/coordinator.js'
import { SERVICE_LEASE_MS, ServiceLease } from '../core/services/service-lease.js'
import { ServiceList } from '../core/services/service-list.js'
import type { KeyValueStore } from '../ports.js'
import { PeriodicWorker } from './periodic-worker.js'

const RENEW_MS = SERVICE_LEASE_MS / 4
/** With the lease it bounds the time without a coordinator after a crash. */
const LOOK_MS = 2_000
const SERVICES_MS = 3_000
/** Longest wait, when it stops, for a store that does not answer. */
export const LEAVE_MS: number = 2_000

export interface StandingOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
  readonly cluster: ClusterState
  /** Tells this service from others on the same store. */
  readonly name: string
  readonly softwareVersion: string
  /** Other services work on the same store. */
  readonly isShared: boolean
  /** Whether a metadata service answers at this address, which may be empty. */
  isServing(address: string): Promise<boolean>
  onCoordinator(isTaken: boolean, epoch: number): void
  onError(work: string, error: unknown): void
}

export class Standing {
  readonly coordinator: Coordinator
  readonly services: ServiceList
  /** Names this run of this service among all. */
  readonly run: string
  private readonly options: StandingOptions
  private readonly lease: ServiceLease
  private readonly workers: readonly PeriodicWorker[]

  constructor(options: StandingOptions) {
    const { store, clock, random, cluster, name, softwareVersion, isShared, onCoordinator } = options
    const run = formatId(random.bytes(8))
    const isExclusive = !isShared
    const startedMs = Math.floor(clock.wallMicros() / 1000)
    const row = { name, startedMs, featureLevel: cluster.supportedLevel, softwareVersion, run }
    this.options = options
    this.run = run
    this.lease = new ServiceLease({
      store,
      clock,
      row,
      isExclusive,
      joinCompare: () => cluster.joinCompare(),
      isServing: (address) => options.isServing(address),
    })
    this.coordinator = new Coordinator({
      store,
      clock,
      lease: this.lease,
      service: name,
      run,
      isExclusive,
      onTaken: (epoch) => onCoordinator(true, epoch),
      onLost: (epoch) => onCoordinator(false, epoch),
    })
    this.services = new ServiceList(store)
    this.workers = [
      this.periodic('lease', RENEW_MS, () => this.lease.renew()),
      this.periodic('coordinator', LOOK_MS, () => this.coordinator.look()),
      this.periodic('services', SERVICES_MS, () => this.services.look()),
    ]
  }

  /** Addresses to tell others of; none while this service alone works on its store. */
  get addresses(): readonly string[] | undefined {
    return this.options.isShared ? this.services.addresses : undefined
  }

  /** Its lease runs, by our own clock. */
  get isMember(): boolean {
    return this.lease.leftMs() > 0
  }

  /** Takes the name: see `ServiceLease.claim`. */
  join(): Promise<void> {
    return this.lease.claim()
  }

  /** Coordinates if nobody else does: for work by hand, while not started. */
  async lead(): Promise<void> {
    if (this.lease.leftMs() <= 0) await this.lease.renew()
    await this.coordinator.look()
  }

  /** Joined, and listening there: from now on others can find it. */
  async start(address: string): Promise<void> {
    this.coordinator.announce(address)
    await this.lease.announce(address)
    await this.services.look()
    await this.coordinator.look()
    for (const worker of this.workers) worker.start()
  }

  /** Lets another service take over at once, if the store answers within LEAVE_MS. */
  async stop(): Promise<void> {
    await inTime(this.options.clock, LEAVE_MS, this.leave())
  }

  private async leave(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()))
    this.coordinator.stepDown()
    // A store that does not answer ends the lease by itself.
    await this.lease.revoke().catch((error: unknown) => this.options.onError('lease', error))
  }

  private periodic(name: string, intervalMs: number, run: () => Promise<unknown>): PeriodicWorker {
    const { clock, onError } = this.options
    return new PeriodicWorker({ clock, intervalMs, run, onError: (error) => onError(name, error) })
  }
}
