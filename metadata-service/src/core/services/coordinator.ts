/**
 * Which of several services looks after drives, copies and garbage: the one whose row `m/coordinator` stands, under
 * the lease of that service.
 *
 * ● It is taken only while the row is absent: after the lease of the one before has ended. Every commit of the
 * background work compares the row's creation, so that a coordinator that was paused, and wakes, changes nothing; and
 * what no commit can fence, a deletion on a drive, is begun only while our own clock says that the lease outlasts it.
 */

import { CairnError, type Clock, integer, type Message, message, required, text } from '@cairn/protocol'
import type {
  CommitResult,
  Compare,
  KeyValueStore,
  LeaseId,
  Read,
  ReadResult,
  StoreKey,
  StoreRow,
} from '../../ports.js'
import { commitFenced, type ProvenCommit } from '../commit/fenced-commit.js'
import { PassingStore } from '../commit/passing-store.js'
import { removeRow, type ServiceLease } from './service-lease.js'

/** The row `m/coordinator`. */
export interface CoordinatorRow {
  readonly service: string
  readonly run: string
  /** Rises with each taking. */
  readonly epoch: number
  /** Where it listens; empty if it cannot be reached from elsewhere. */
  readonly address: string
}
export const CoordinatorRow: Message<CoordinatorRow> = message<CoordinatorRow>('CoordinatorRow', 1, {
  service: required(1, text),
  run: required(2, text),
  epoch: required(3, integer),
  address: required(4, text),
})

const COORDINATOR_KEY: StoreKey = Buffer.from('m/coordinator')
/** Outlives the lease: the last epoch that was taken. */
const EPOCH_KEY: StoreKey = Buffer.from('m/coordinator-epoch')

/** A destructive call must end so long before the lease does. */
const MARGIN_MS = 2_000
/** Less time than this is not worth a call. */
const CALL_MS_MIN = 500

export interface CoordinatorOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly lease: ServiceLease
  readonly service: string
  readonly run: string
  /** Nobody else uses the store: what an earlier run has left is removed at once. */
  readonly isExclusive: boolean
  /** It is this service now; `epoch` is the new one. */
  onTaken(epoch: number): void
  /** It is this service no more. */
  onLost(epoch: number): void
}

interface Leading {
  readonly epoch: number
  /** Under which the row stands: it goes with that lease, whatever other one this service takes then. */
  readonly lease: LeaseId
  readonly compare: Compare
}

export class Coordinator {
  /** The store as the background work sees it: each commit is fenced. */
  readonly store: KeyValueStore
  private readonly options: CoordinatorOptions
  private leading: Leading | undefined
  private seen: CoordinatorRow | undefined
  private address = ''

  constructor(options: CoordinatorOptions) {
    this.options = options
    this.store = new FencedStore(options.store, this)
  }

  /** Who coordinates, as of the last look; `undefined` if nobody. */
  get known(): CoordinatorRow | undefined {
    return this.seen
  }

  /** Whether this service coordinates, by its own clock. */
  isCoordinator(): boolean {
    if (this.leading !== undefined && this.options.lease.lease !== this.leading.lease) this.stepDown()
    return this.leading !== undefined
  }

  /** What every commit of the coordinator compares. `SessionExpired` if this service is not the one. */
  compare(): Compare {
    if (!this.isCoordinator() || this.leading === undefined) throw notCoordinator()
    return this.leading.compare
  }

  /**
   * Longest deadline of a destructive call that ends while the lease surely runs. `SessionExpired` if there is none.
   */
  destructionMs(): number {
    const leftMs = this.isCoordinator() ? this.options.lease.leftMs() - MARGIN_MS : 0
    if (leftMs < CALL_MS_MIN) throw notCoordinator()
    return leftMs
  }

  /** A commit was refused by our compare: somebody else may coordinate. */
  stepDown(): void {
    const { leading } = this
    this.leading = undefined
    if (leading !== undefined) this.options.onLost(leading.epoch)
  }

  /** Where this service can be reached, for the row. */
  announce(address: string): void {
    this.address = address
  }

  /** Looks who coordinates, and takes it if nobody does. */
  async look(): Promise<void> {
    const { store, run, isExclusive } = this.options
    if (this.isCoordinator()) return
    const { results } = await store.readAuthority([
      { kind: 'get', key: COORDINATOR_KEY },
      { kind: 'get', key: EPOCH_KEY },
    ])
    const row = results[0]?.[0]
    this.seen = row === undefined ? undefined : CoordinatorRow.decode(row.value)
    if (row !== undefined && (isExclusive || this.seen?.run === run)) {
      // Ours from a lease that is given up, or of a run that is surely over.
      await removeRow(store, row)
      return this.look()
    }
    if (row === undefined) await this.take(results[1]?.[0])
  }

  private async take(epochRow: StoreRow | undefined): Promise<void> {
    const { store, lease, service, run } = this.options
    const held = lease.lease
    if (held === undefined) return
    const epoch = epochOf(epochRow) + 1
    const row: CoordinatorRow = { service, run, epoch, address: this.address }
    const value = CoordinatorRow.encode(row)
    const result = await store.commit({
      compares: [{ kind: 'absent', key: COORDINATOR_KEY }, unchanged(epochRow)],
      puts: [
        { key: COORDINATOR_KEY, value, lease: held },
        { key: EPOCH_KEY, value },
      ],
      proof: { keys: [EPOCH_KEY], carries: ([found]) => isOf(found, row) },
    })
    if (!result.committed) return
    await this.confirm(row, held)
  }

  /** The creation of the row is what later commits compare: read it rather than trust an answer that was settled. */
  private async confirm(row: CoordinatorRow, held: LeaseId): Promise<void> {
    const { store, lease, onTaken } = this.options
    const { results } = await store.readAuthority([{ kind: 'get', key: COORDINATOR_KEY }])
    const found = results[0]?.[0]
    if (found === undefined || !isOf(found, row) || lease.lease !== held) return
    this.seen = row
    this.leading = {
      epoch: row.epoch,
      lease: held,
      compare: { kind: 'creation', key: COORDINATOR_KEY, created: found.created },
    }
    onTaken(row.epoch)
  }
}

function unchanged(row: StoreRow | undefined): Compare {
  return row === undefined
    ? { kind: 'absent', key: EPOCH_KEY }
    : { kind: 'revision', key: EPOCH_KEY, revision: row.revision }
}

function epochOf(row: StoreRow | undefined): number {
  return row === undefined ? 0 : CoordinatorRow.decode(row.value).epoch
}

function isOf(found: StoreRow | undefined, { run, epoch }: CoordinatorRow): boolean {
  if (found === undefined) return false
  const row = CoordinatorRow.decode(found.value)
  return row.run === run && row.epoch === epoch
}

function notCoordinator(): CairnError {
  return new CairnError('SessionExpired', 'this service does not coordinate any more')
}

/** Every commit compares the coordinator's row, as its last compare. `SessionExpired` once it is another one's. */
class FencedStore extends PassingStore<KeyValueStore> implements KeyValueStore {
  private readonly coordinator: Coordinator

  constructor(store: KeyValueStore, coordinator: Coordinator) {
    super(store)
    this.coordinator = coordinator
  }

  commit(commit: ProvenCommit): Promise<CommitResult> {
    const compare = this.coordinator.compare()
    return commitFenced(this.store, commit, compare, (row) => {
      if (compare.kind === 'creation' && row?.created === compare.created) return undefined
      this.coordinator.stepDown()
      return notCoordinator()
    })
  }

  read(reads: readonly Read[]): Promise<ReadResult> {
    return this.store.read(reads)
  }

  readAuthority(reads: readonly Read[]): Promise<ReadResult> {
    return this.store.readAuthority(reads)
  }
}
