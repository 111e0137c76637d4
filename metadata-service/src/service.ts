/** A metadata service as whoever runs it sees it; `app.ts` builds one. */
import type {
  Clock,
  ClusterMap,
  DriveSummary,
  HandshakeIdentity,
  Network,
  Random,
  RpcRouter,
  RpcRouterTable,
} from '@cairn/protocol'
import type { ServerHeartbeat } from './core/cluster/heartbeats.js'
import type { EntryStore } from './ports.js'
import type { UpkeepCounts, UpkeepStatus } from './workers/upkeep.js'

/** Where the service writes what happens in the background; a pino logger fits. */
export interface ServiceLog {
  info(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** What a metadata service stands on. */
export interface MetadataServiceOptions {
  /** Closed by `close`. */
  readonly store: EntryStore
  readonly clock: Clock
  readonly random: Random
  readonly network: Network
  /**
   * Its name tells this service from others on the same store; its feature level is the highest that this service
   * supports. An empty cluster id is filled from the store.
   */
  readonly identity: HandshakeIdentity
  /** Where to listen: `host:port`, port 0 for a free one, or `local:<name>`. */
  readonly address: string
  /** Age from which garbage that commits dropped is freed. */
  readonly gcGraceSeconds: number
  /** From the end of a session until blocks that none of its commits named are freed. */
  readonly orphanGraceSeconds: number
  /** Copies of each block in the first pool, and the number of drives to wait for before it is made. */
  readonly replicas: number
  readonly drivesExpected: number
  /** Everything stored is compared at least each half of this; 0 for a week. 14 days unless given. */
  readonly scrubSeconds?: number
  /** Silence after which a drive is suspect, and dead; 30 and 600 unless given. */
  readonly suspectSeconds?: number
  readonly deadSeconds?: number
  /** Unused drives are used once they have been up for so long; only by command if absent. */
  readonly joinSeconds?: number
  /** Store entries under way at once; 1 unless given, for a store that takes one at a time anyway. */
  readonly entriesInFlight?: number
  readonly log?: ServiceLog
  /** Other services work on the same store: what an earlier run holds is waited for, and others are told of. */
  readonly isShared?: boolean
  /** What others connect to, by the address listened on; that one itself unless given. Empty for nobody. */
  advertise?(listening: string): string
  readonly softwareVersion?: string
}

/** What is to be seen of a service from outside. */
export interface MetadataServiceStatus {
  /** `undefined` before `start`. */
  readonly address: string | undefined
  /** The last map read. */
  readonly map: ClusterMap
  readonly servers: readonly ServerHeartbeat[]
  /** Store entries applied by this service, and the commits that shared them. */
  readonly entries: number
  readonly commits: number
  readonly upkeep: UpkeepStatus
  /** No deletion yet. */
  readonly safeMode: boolean
  /** Every drive of the map, as people see it. */
  readonly driveStates: readonly DriveSummary[]
  /** This service looks after drives, copies and garbage. */
  readonly isCoordinator: boolean
  /** Name of the service that does, as far as known, and its epoch. */
  readonly coordinator: { readonly name: string; readonly epoch: number } | undefined
  /** Names of the services that live, as of the last look. */
  readonly services: readonly string[]
}

/** One metadata service with its store open. */
export interface MetadataService {
  readonly router: RpcRouter & RpcRouterTable
  /** Listens and starts the background work; resolves with the real address. */
  start(): Promise<string>
  /** Runs all background work once, past safe mode: for tests and simulations that have not called `start`. */
  runUpkeep(): Promise<UpkeepCounts>
  /** Stops the background work, lets running calls finish, and closes the store. Idempotent. */
  close(): Promise<void>
  status(): MetadataServiceStatus
  /** Why a read or a write would not work now, for people; `undefined` if they would. Answers within 3 s. */
  findTrouble(): Promise<string | undefined>
}
