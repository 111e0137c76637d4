/**
 * The lease of this service, and its row `m/service/<name>`: who serves, and where.
 *
 * ● The end of the lease is counted on our own monotonic clock, from before the grant or the renewal was sent: so this
 * service gives up what it holds under the lease no later than the store does. A service that crashed leaves its row
 * until the lease ends, and the store may set the time of a lease back; one of the same name waits for that. It is
 * refused for good only while the other one answers.
 */
import {
  CairnError,
  type Clock,
  hasCode,
  integer,
  type Message,
  message,
  required,
  text,
} from '@cairn/protocol'
import type {
  CommitResult,
  Compare,
  EntryStore,
  KeyValueStore,
  LeaseId,
  StoreKey,
  StoreRow,
} from '../../ports.js'
import { rangeOfPrefix } from '../rows/keys.js'

/** Lease of a service: see reliability start values. */
export const SERVICE_LEASE_MS = 10_000

/** Longer than most leases that are renewed no more: who has the name then is asked whether it lives. */
const WAIT_MS = SERVICE_LEASE_MS + 3_000
/** Longest wait for the name of a run that does not answer. etcd gives each lease its whole time with each new leader. */
const WAIT_MS_MAX = 60_000
const WAIT_STEP_MS = 500

/** Attempts of one claim against changes of the cluster map, and the pause before the next; then `Busy`. */
const CLAIM_ATTEMPTS_MAX = 8
const CLAIM_PAUSE_MS = 200

/** Services of one cluster. */
const SERVICES_MAX = 1000

/** The row `m/service/<name>`. */
export interface ServiceRow {
  readonly name: string
  /** `host:port`; empty before it listens, and for one that cannot be reached from elsewhere. */
  readonly address: string
  readonly startedMs: number
  readonly featureLevel: number
  readonly softwareVersion: string
  /** Names one run among all. */
  readonly run: string
}
export const ServiceRow: Message<ServiceRow> = message<ServiceRow>('ServiceRow', 1, {
  name: required(1, text),
  address: required(2, text),
  startedMs: required(3, integer),
  featureLevel: required(4, integer),
  softwareVersion: required(5, text),
  run: required(6, text),
})

export interface ServiceLeaseOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly row: Omit<ServiceRow, 'address'>
  /** Nobody else uses the store: what an earlier run has left is replaced at once. */
  readonly isExclusive: boolean
  /** What must hold when the service joins: that the cluster's feature level is one that it supports. */
  joinCompare(): Promise<Compare>
  /** Whether a metadata service answers at this address, which may be empty. */
  isServing(address: string): Promise<boolean>
}

interface HeldLease {
  readonly id: LeaseId
  endsAtMs: number
}

export class ServiceLease {
  private readonly options: ServiceLeaseOptions
  private readonly key: StoreKey
  private row: ServiceRow
  private held: HeldLease | undefined

  constructor(options: ServiceLeaseOptions) {
    this.options = options
    this.row = { ...options.row, address: '' }
    this.key = serviceKey(options.row.name)
  }

  /** `undefined` while no lease is held. */
  get lease(): LeaseId | undefined {
    return this.leftMs() > 0 ? this.held?.id : undefined
  }

  /** Milliseconds for which nobody else can have what is held under the lease. */
  leftMs(): number {
    return this.held === undefined ? 0 : Math.max(0, this.held.endsAtMs - this.options.clock.monotonicMs())
  }

  /** Takes the name. `DataFolderInUse` if a living service has it, `Busy` if the lease of a dead one does not end. */
  async claim(): Promise<void> {
    const { clock, isServing } = this.options
    const sinceMs = clock.monotonicMs()
    for (;;) {
      const other = await this.tryClaim()
      if (other === undefined) return
      const waitedMs = clock.monotonicMs() - sinceMs
      if (waitedMs >= WAIT_MS && (await isServing(other.address))) throw nameTaken(other)
      if (waitedMs >= WAIT_MS_MAX) throw nameKept(other)
      await this.pause(WAIT_STEP_MS)
    }
  }

  /** Tells where the service listens. */
  async announce(address: string): Promise<void> {
    this.row = { ...this.row, address }
    if (this.held === undefined) return
    const { key, held } = this
    const { store } = this.options
    const value = ServiceRow.encode(this.row)
    const { results } = await store.readAuthority([{ kind: 'get', key }])
    const found = results[0]?.[0]
    if (found === undefined || ServiceRow.decode(found.value).run !== this.row.run) return
    await store.commit({
      compares: [{ kind: 'revision', key, revision: found.revision }],
      puts: [{ key, value, lease: held.id }],
      proof: {
        keys: [key],
        carries: ([row]) => row !== undefined && ServiceRow.decode(row.value).address === address,
      },
    })
  }

  /** Renews the lease, or takes the name again when it was lost. `DataFolderInUse` while somebody else has it. */
  async renew(): Promise<void> {
    const { held } = this
    if (held === undefined) {
      const other = await this.tryClaim()
      if (other !== undefined) throw nameTaken(other)
      return
    }
    const sentMs = this.options.clock.monotonicMs()
    try {
      await this.options.store.renewLease(held.id)
      held.endsAtMs = Math.max(held.endsAtMs, sentMs + SERVICE_LEASE_MS)
    } catch (error) {
      if (!hasCode(error, 'SessionExpired')) throw error
      this.held = undefined
      await this.renew()
    }
  }

  /** Ends the lease: all that was held under it is free when this resolves. */
  async revoke(): Promise<void> {
    const { held } = this
    this.held = undefined
    if (held !== undefined) await this.options.store.revokeLease(held.id)
  }

  /** The row of whoever has the name, if it is not ours now. `Busy` if the cluster map changes all the time. */
  private async tryClaim(): Promise<ServiceRow | undefined> {
    for (let attempt = 0; attempt < CLAIM_ATTEMPTS_MAX; attempt++) {
      const result = await this.putRow()
      if (result.committed) return undefined
      const found = result.rows[0]
      if (found === undefined) await this.pause(CLAIM_PAUSE_MS)
      else if (this.isOver(found)) await removeRow(this.options.store, found)
      else return ServiceRow.decode(found.value)
    }
    throw new CairnError('Busy', 'the cluster map keeps changing')
  }

  /** Takes the name under a new lease if nobody has it, and the cluster is as this service supports it. */
  private async putRow(): Promise<CommitResult> {
    const { store, clock, joinCompare } = this.options
    const { key, row } = this
    const sentMs = clock.monotonicMs()
    const id = await store.grantLease(SERVICE_LEASE_MS)
    const result = await store.commit({
      compares: [{ kind: 'absent', key }, await joinCompare()],
      puts: [{ key, value: ServiceRow.encode(row), lease: id }],
      proof: {
        keys: [key],
        carries: ([found]) => found !== undefined && ServiceRow.decode(found.value).run === row.run,
      },
    })
    if (result.committed) this.held = { id, endsAtMs: sentMs + SERVICE_LEASE_MS }
    else await store.revokeLease(id)
    return result
  }

  /** The row is of a run that is surely over, or ours from a lease that is given up. */
  private isOver(found: StoreRow): boolean {
    return this.options.isExclusive || ServiceRow.decode(found.value).run === this.row.run
  }

  private pause(pauseMs: number): Promise<void> {
    return new Promise((resolve) => this.options.clock.setTimer(pauseMs, resolve))
  }
}

/** Deletes the row if it is still the same. */
export async function removeRow(store: KeyValueStore, { key, revision }: StoreRow): Promise<void> {
  await store.commit({
    compares: [{ kind: 'revision', key, revision }],
    deletes: [key],
    proof: { keys: [key], carries: ([row]) => row?.revision !== revision },
  })
}

/** All services that live, by name. */
export async function readServices(store: Pick<EntryStore, 'read'>): Promise<ServiceRow[]> {
  const { results } = await store.read([{ kind: 'scan', range: SERVICES, limit: SERVICES_MAX }])
  return (results[0] ?? []).map(({ value }) => ServiceRow.decode(value))
}

/** Where the services that live can be reached. */
export async function readServiceAddresses(store: Pick<EntryStore, 'read'>): Promise<string[]> {
  return (await readServices(store)).map(({ address }) => address).filter((address) => address !== '')
}

const PREFIX = 'm/service/'
const SERVICES = rangeOfPrefix(Buffer.from(PREFIX))

function serviceKey(name: string): StoreKey {
  return Buffer.from(PREFIX + name)
}

function nameTaken({ name, address, startedMs }: ServiceRow): CairnError {
  const since = new Date(startedMs).toISOString()
  return new CairnError(
    'DataFolderInUse',
    `a metadata service named ${name} runs${at(address)} since ${since}`,
  )
}

function nameKept({ name, address }: ServiceRow): CairnError {
  const former = `a metadata service named ${name}${at(address)}`
  const message = `${former} does not answer, but its lease has not ended for ${WAIT_MS_MAX / 1000} s`
  return new CairnError('Busy', message)
}

function at(address: string): string {
  return address === '' ? '' : ` at ${address}`
}
