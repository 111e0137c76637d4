/** Builds a metadata service from what it needs of the world; reads no configuration, listens only when started. */
import {
  createRouter,
  type HandshakeIdentity,
  RECEIPT_LEVEL,
  type RpcListener,
  type RpcRouter,
  type RpcRouterTable,
  toCairnError,
} from '@cairn/protocol'
import { createCommitEvidence, type EvidenceOf } from './core/attempts/commit-evidence.js'
import { ReceiptCheck } from './core/attempts/receipt-check.js'
import { createWriterGuard } from './core/attempts/writer-guard.js'
import { ClusterState } from './core/cluster/cluster-state.js'
import { DriveStates } from './core/cluster/drive-states.js'
import { summarizeDrives } from './core/cluster/drive-summaries.js'
import { createKeyValueStore } from './core/commit/batcher.js'
import { createNamespace, type Namespace } from './core/namespace/namespace.js'
import { Sessions } from './core/services/sessions.js'
import { TokenKeyRing } from './core/services/token-keys.js'
import { SafeMode } from './core/upkeep/safe-mode.js'
import { logFailedWork } from './failed-work.js'
import type { KeyValueStore, StoreSpace } from './ports.js'
import { isServing } from './rpc/ask-service.js'
import { registerClusterHandlers } from './rpc/cluster-handlers.js'
import { registerNamespaceHandlers } from './rpc/object-handlers.js'
import { guardSessions } from './rpc/program-sessions.js'
import { registerSessionHandlers } from './rpc/session-handlers.js'
import { registerUpkeepHandlers } from './rpc/upkeep-handlers.js'
import { registerUploadHandlers } from './rpc/upload-handlers.js'
import type { MetadataService, MetadataServiceOptions, MetadataServiceStatus } from './service.js'
import { CheckRunner } from './workers/check-runner.js'
import { createDriveCaller, type DriveCaller } from './workers/drive-caller.js'
import { watchCommits } from './workers/repair-watch.js'
import { LEAVE_MS, Standing } from './workers/standing.js'
import { Upkeep, type UpkeepCounts } from './workers/upkeep.js'

/** Time that running calls get to finish when the service closes. */
const DRAIN_MS = 5_000

/** Time that the store has to answer whoever asks whether the service is ready. */
const PROBE_MS = 3_000

const SCRUB_SECONDS = 1_209_600
const SUSPECT_SECONDS = 30
const DEAD_SECONDS = 600

/** Longest wait of safe mode after every group has its quorum. */
const SAFE_MODE_SECONDS = 30

/**
 * `PeerRejected` if the store belongs to another cluster, `FormatTooNew` if its feature level is too high for this one.
 */
export async function createMetadataService(options: MetadataServiceOptions): Promise<MetadataService> {
  const tally = { entries: 0, commits: 0 }
  const store = createKeyValueStore({
    store: options.store,
    clock: options.clock,
    random: options.random,
    service: options.identity.name,
    entriesInFlight: options.entriesInFlight ?? 1,
    onEntry: (commits) => {
      tally.entries++
      tally.commits += commits
    },
  })
  const { clusterId } = options.identity
  const cluster = await ClusterState.open({
    ...options,
    store,
    featureLevel: options.identity.featureLevel,
    ...(clusterId === '' ? {} : { clusterId }),
  })
  const service = new Service(options, store, cluster, tally)
  await service.recall()
  return service
}

interface Tally {
  readonly entries: number
  readonly commits: number
}

class Service implements MetadataService {
  readonly router: RpcRouter & RpcRouterTable
  private readonly options: MetadataServiceOptions
  private readonly identity: HandshakeIdentity
  private readonly store: KeyValueStore
  private readonly cluster: ClusterState
  private readonly tally: Tally
  private readonly drives: DriveCaller
  private readonly ring: TokenKeyRing
  private readonly states: DriveStates
  private readonly safeMode: SafeMode
  private readonly standing: Standing
  private readonly check: CheckRunner
  private readonly upkeep: Upkeep
  private readonly namespace: Namespace
  private listener: RpcListener | undefined
  private closing: Promise<void> | undefined

  constructor(options: MetadataServiceOptions, store: KeyValueStore, cluster: ClusterState, tally: Tally) {
    const { clock, gcGraceSeconds, random } = options
    this.options = options
    this.store = store
    this.cluster = cluster
    this.tally = tally
    this.identity = { ...options.identity, clusterId: cluster.known.clusterId }
    this.states = new DriveStates({
      clock,
      heartbeats: cluster.heartbeats,
      suspectSeconds: options.suspectSeconds ?? SUSPECT_SECONDS,
      deadSeconds: options.deadSeconds ?? DEAD_SECONDS,
    })
    this.standing = this.createStanding()
    this.ring = new TokenKeyRing({ store, clock, random: options.random })
    this.drives = this.createDrives()
    this.safeMode = new SafeMode({
      clock,
      cluster,
      states: this.states,
      delaySeconds: Math.min(SAFE_MODE_SECONDS, gcGraceSeconds),
    })
    this.upkeep = this.createUpkeep()
    const sessions = this.createSessions()
    const guard = createWriterGuard(sessions, cluster, () => options.store.isShort === true)
    const watched = watchCommits(store, clock, this.upkeep.repair.budget)
    this.namespace = createNamespace({ store: watched, clock, random, guard, sessions })
    this.check = new CheckRunner({
      store,
      clock,
      random,
      cluster,
      states: this.states,
      drives: this.drives,
      reclaimer: this.drives,
      orphans: this.upkeep.orphans,
    })
    this.router = createRouter()
    this.registerHandlers(sessions)
  }

  private createUpkeep(): Upkeep {
    const { options, cluster, states, safeMode } = this
    const { clock, gcGraceSeconds, orphanGraceSeconds, log } = options
    const { coordinator } = this.standing
    return new Upkeep({
      store: coordinator.store,
      clock,
      gcGraceSeconds,
      orphanGraceSeconds,
      blocks: this.drives,
      cluster,
      states,
      scrubSeconds: options.scrubSeconds ?? SCRUB_SECONDS,
      ...(options.joinSeconds === undefined ? {} : { joinSeconds: options.joinSeconds }),
      safeMode,
      isCoordinator: () => coordinator.isCoordinator(),
      onMembership: () => this.logMap(),
      onSlow: (held) => log?.info(held, 'a chunk server is much slower than the others: it is asked last'),
      onError: logFailedWork(log),
    })
  }

  private logMap(): void {
    const { epoch, drives } = this.cluster.known
    const drivesUp = drives.filter(({ state }) => state === 'up').length
    this.options.log?.info({ epoch, drivesUp, drives: drives.length }, 'the cluster map has changed')
  }

  /** What an earlier run of the service has done: before anything is written. */
  recall(): Promise<void> {
    return this.namespace.world.applied.recall(this.store)
  }

  async start(): Promise<string> {
    const { network, address, log, advertise = (listening: string) => listening } = this.options
    await this.standing.join()
    this.listener = await network.listen(address, this.router, this.identity)
    await this.standing.start(advertise(this.listener.address))
    this.upkeep.start()
    const { clusterId, epoch } = this.cluster.known
    log?.info({ address: this.listener.address, clusterId, epoch }, 'metadata service listens')
    return this.listener.address
  }

  async runUpkeep(): Promise<UpkeepCounts> {
    await this.standing.lead()
    return this.upkeep.runOnce()
  }

  close(): Promise<void> {
    this.closing ??= this.closeAll()
    return this.closing
  }

  status(): MetadataServiceStatus {
    return {
      address: this.listener?.address,
      map: this.cluster.known,
      servers: this.cluster.heartbeats.all(),
      entries: this.tally.entries,
      commits: this.tally.commits,
      upkeep: this.upkeep.status,
      safeMode: !this.safeMode.isOver(),
      driveStates: summarizeDrives(this.cluster, this.states),
      ...this.standingStatus(),
    }
  }

  async findTrouble(): Promise<string | undefined> {
    const { clock } = this.options
    let cancel = (): void => undefined
    const late = new Promise<string>((resolve) => {
      cancel = clock.setTimer(PROBE_MS, () => resolve(`the store has not answered for ${PROBE_MS} ms`))
    })
    const found = this.cluster.current().then(
      () => (this.standing.isMember ? undefined : 'the lease of this service has ended'),
      (error: unknown) => `the store does not answer: ${toCairnError(error).message}`,
    )
    try {
      return await Promise.race([found, late])
    } finally {
      cancel()
    }
  }

  private standingStatus(): Pick<MetadataServiceStatus, 'isCoordinator' | 'coordinator' | 'services'> {
    const { coordinator, services } = this.standing
    const isCoordinator = coordinator.isCoordinator()
    const { known } = coordinator
    return {
      isCoordinator,
      coordinator: known === undefined ? undefined : { name: known.service, epoch: known.epoch },
      services: services.known.map(({ name }) => name),
    }
  }

  private createSessions(): Sessions {
    const { store, cluster, options, standing } = this
    const { clock, random } = options
    return new Sessions({ store, clock, random, run: standing.run, admit: (level) => cluster.admit(level) })
  }

  /** Its callbacks are asked later, when all parts are there. */
  private createDrives(): DriveCaller {
    const { cluster, identity, states } = this
    const { clock, network } = this.options
    return createDriveCaller({
      cluster,
      tokenKeys: () => this.ring.current(),
      clock,
      network,
      identity,
      states,
      destructionMs: () => this.standing.coordinator.destructionMs(),
      formerHolders: (pool, group) => this.upkeep.formerHolders(pool, group),
    })
  }

  private createStanding(): Standing {
    const { store, cluster, options } = this
    const { clock, random, network, identity, isShared = false, softwareVersion = '', log } = options
    return new Standing({
      store,
      clock,
      random,
      cluster,
      name: identity.name,
      softwareVersion,
      isShared,
      isServing: (address) => isServing({ network, identity: this.identity }, address),
      onCoordinator: (isTaken, epoch) => {
        this.safeMode.restart()
        const message = isTaken ? 'this service coordinates now' : 'this service coordinates no more'
        log?.info({ epoch }, message)
      },
      onError: logFailedWork(log),
    })
  }

  private registerHandlers(sessions: Sessions): void {
    const guarded = guardSessions(this.router, sessions)
    registerSessionHandlers(guarded, sessions, this.options.clock)
    registerClusterHandlers(this.router, {
      cluster: this.cluster,
      addresses: () => this.standing.addresses,
      ring: this.ring,
      clock: this.options.clock,
    })
    const { evidenceOf } = this
    registerNamespaceHandlers(guarded, this.namespace, evidenceOf)
    registerUploadHandlers(guarded, this.namespace, evidenceOf)
    const { store, cluster, states, safeMode, upkeep, check, standing, identity } = this
    const { network } = this.options
    const space = (): readonly StoreSpace[] => this.options.store.space?.() ?? []
    const storeTrouble = (): string | undefined => this.options.store.failure?.message
    const look = { store, space, storeTrouble, cluster, states, safeMode, upkeep, check, standing }
    registerUpkeepHandlers(this.router, { ...look, network, identity })
  }

  /** Gateways are believed, and so is everybody while the cluster may have drives that give no receipts. */
  private get evidenceOf(): EvidenceOf {
    const { cluster, store, drives: pages, ring } = this
    const receipts = new ReceiptCheck({ cluster, keys: () => ring.forReceipts() })
    const evidence = createCommitEvidence({ receipts, pages, store })
    return ({ role }) =>
      role === 'gateway' || cluster.known.featureLevel < RECEIPT_LEVEL ? undefined : evidence
  }

  /** Takes little more than LEAVE_MS and DRAIN_MS, whatever does not answer. */
  private async closeAll(): Promise<void> {
    const { clock, store } = this.options
    // Whatever waits then for a store that is silent ends at once, and none of it was acknowledged.
    const cancel = clock.setTimer(LEAVE_MS + DRAIN_MS, () => {
      store.close().catch(() => undefined)
    })
    const stopped = Promise.all([this.upkeep.stop(), this.check.close()])
    try {
      await this.standing.stop()
      await this.listener?.close(DRAIN_MS)
      // Ends calls to drives that do not answer, so that the background work ends too.
      await this.drives.close()
      await stopped
      await this.store.close()
    } finally {
      cancel()
    }
  }
}
