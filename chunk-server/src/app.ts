/** Builds a chunk server from what it needs of the world; reads no configuration, listens only when started. */
import {
  type Clock,
  createRouter,
  type HandshakeIdentity,
  inTime,
  type Network,
  type Random,
  ReceiptMint,
  type RpcListener,
  ServiceDirectory,
  TokenCheck,
  TokenMint,
} from '@cairn/protocol'
import { segmentDrive } from './adapters/segment-drive.js'
import { BlockCopier } from './core/blocks/block-copier.js'
import { fetchClusterId, fetchIsKnown, fetchPoolEpochs } from './core/cluster/cluster-id.js'
import { MetadataPeers } from './core/cluster/metadata-peers.js'
import type { Registration } from './core/cluster/registration.js'
import { startRegistrations } from './core/cluster/registrations.js'
import { RunStart } from './core/cluster/run-start.js'
import type { DriveStatus, ServedDrive } from './core/drives/drive.js'
import { type DriveSet, openDriveSet } from './core/drives/drive-set.js'
import type { DriveSource } from './core/drives/drive-source.js'
import { startUpkeep, type Upkeep } from './core/drives/upkeep.js'
import type { DamageEvent } from './ports.js'
import { registerChunkHandlers } from './rpc/handlers.js'

/** Pause between two compaction rounds. */
const COMPACTION_MS = 10_000
/** Time in which every block is read again, unless told otherwise. */
const SCRUB_SECONDS = 1_209_600
/** Time that running calls get to finish when the server closes. */
const DRAIN_MS = 5_000
/** What a run of the upkeep gets to end; one that hangs with its disk must not keep the other drives from closing. */
const UPKEEP_END_MS = 2_000

/** What a server tells its log. */
export type ChunkServerEvent =
  /** Unregistered, and tried again: told once for each code of error until it is registered. */
  | { readonly kind: 'registered' | 'unregistered'; readonly error?: unknown }
  | { readonly kind: 'damage'; readonly drive: string; readonly damage: DamageEvent }
  | { readonly kind: 'drive'; readonly status: DriveStatus }
  | { readonly kind: 'upkeep failed'; readonly drive: string; readonly error: unknown }

/** What a chunk server stands on. */
export interface ChunkServerOptions {
  /** Stable over restarts: the member's id in the cluster map. */
  readonly id: string
  /** Folders, or drives of another making (a simulation). */
  readonly drives: readonly (string | DriveSource)[]
  /** Where to listen: `host:port`, port 0 for a free one, or `local:<name>`. */
  readonly address: string
  /** What others connect to, from the address listened on; that address unless given. */
  advertise?(listening: string): string
  /** The address of a metadata service, or a directory of all. */
  readonly metadata: string | ServiceDirectory
  readonly network: Network
  /** With an empty cluster id the metadata service is asked for it. Its feature level is the highest supported. */
  readonly identity: HandshakeIdentity
  readonly clock: Clock
  readonly random: Random
  readonly durability: 'fsync' | 'none'
  /** Failure domains; empty is a domain of its own name. */
  readonly zone?: string
  readonly rack?: string
  readonly host?: string
  readonly compactionMs?: number
  /** Time in which every stored block is read again and verified; 0 turns it off. Two weeks unless given. */
  readonly scrubSeconds?: number
  readonly onEvent?: (event: ChunkServerEvent) => void
}

/** What is to be seen of a server from outside. */
export interface ChunkServerStatus {
  readonly id: string
  /** `undefined` before `start`. */
  readonly address: string | undefined
  readonly registered: boolean
  readonly drives: readonly DriveStatus[]
}

/** One chunk server with its drives open. */
export interface ChunkServer {
  /** Listens and begins to register; resolves with the real address once calls are answered. */
  start(): Promise<string>
  /**
   * Resolves once the metadata service knows this server; rejects with `FormatTooNew` if its feature level is too low.
   */
  registered(): Promise<void>
  /** Drains, then closes all drives. Idempotent. */
  close(): Promise<void>
  status(): ChunkServerStatus
  /** The drives, for metrics. */
  drives(): readonly ServedDrive[]
}

/**
 * Opens all drives. A drive that fails is told in `status` and answers `DriveFailed`; `DataFolderInUse` and
 * `FormatTooNew` of any drive are thrown.
 */
export async function createChunkServer(options: ChunkServerOptions): Promise<ChunkServer> {
  const { clock, random, network } = options
  const directory =
    typeof options.metadata === 'string'
      ? new ServiceDirectory({ given: [options.metadata] })
      : options.metadata
  const clusterId =
    options.identity.clusterId ||
    (await askClusterId(options, new MetadataPeers(directory, network, options.identity)))
  const identity = { ...options.identity, clusterId }
  const sources = options.drives.map((drive) =>
    typeof drive === 'string' ? folderSource(drive, options) : drive,
  )
  const metadata = new MetadataPeers(directory, network, identity)
  const server: { current?: OpenChunkServer } = {}
  const drives = await openDriveSet(sources, {
    clusterId,
    clock,
    random,
    scrubMs: (options.scrubSeconds ?? SCRUB_SECONDS) * 1000,
    isKnown: (drive) => fetchIsKnown(metadata, drive),
    currentEpochs: () => fetchPoolEpochs(metadata),
    onTrouble: (drive, error) => options.onEvent?.({ kind: 'upkeep failed', drive: drive.name, error }),
    onChange: (drive) => server.current?.driveChanged(drive),
  })
  server.current = new OpenChunkServer({ ...options, identity }, drives, metadata)
  return server.current
}

async function askClusterId(options: ChunkServerOptions, metadata: MetadataPeers): Promise<string> {
  try {
    return await fetchClusterId(metadata, options)
  } finally {
    await metadata.close()
  }
}

function folderSource(folder: string, options: ChunkServerOptions): DriveSource {
  const { clock, random, durability } = options
  const onDamage = (damage: DamageEvent): void => options.onEvent?.({ kind: 'damage', drive: folder, damage })
  return segmentDrive(folder, { clock, random, durability, onDamage })
}

class OpenChunkServer implements ChunkServer {
  private readonly options: ChunkServerOptions
  private readonly driveSet: DriveSet
  private readonly metadata: MetadataPeers
  private readonly copier: BlockCopier
  private readonly tokens: TokenCheck
  private readonly mint: TokenMint
  private readonly receipts: ReceiptMint
  private listener: RpcListener | undefined
  private registration: Registration | undefined
  private upkeep: Upkeep | undefined
  private closing: Promise<void> | undefined

  constructor(options: ChunkServerOptions, drives: DriveSet, metadata: MetadataPeers) {
    this.options = options
    this.driveSet = drives
    this.metadata = metadata
    this.tokens = new TokenCheck(options.clock)
    this.mint = new TokenMint(options.clock)
    this.receipts = new ReceiptMint(options.clock)
    this.copier = new BlockCopier({ ...options, mint: this.mint })
    for (const status of drives.status()) this.tell({ kind: 'drive', status })
  }

  async start(): Promise<string> {
    const { options } = this
    const router = createRouter()
    registerChunkHandlers(router, this.driveSet, {
      copier: this.copier,
      clock: options.clock,
      tokens: this.tokens,
      receipts: this.receipts,
    })
    this.listener = await options.network.listen(options.address, router, options.identity)
    this.registration = this.register(options.advertise?.(this.listener.address) ?? this.listener.address)
    this.driveSet.watch()
    this.upkeep = startUpkeep({
      clock: options.clock,
      drives: this.driveSet,
      intervalMs: options.compactionMs ?? COMPACTION_MS,
      onError: (drive, error) => this.tell({ kind: 'upkeep failed', drive, error }),
    })
    return this.listener.address
  }

  registered(): Promise<void> {
    return this.registration?.first ?? Promise.reject(new Error('the chunk server is not started'))
  }

  close(): Promise<void> {
    this.closing ??= this.closeInOrder()
    return this.closing
  }

  status(): ChunkServerStatus {
    return {
      id: this.options.id,
      address: this.listener?.address,
      registered: this.registration?.isRegistered() ?? false,
      drives: this.driveSet.status(),
    }
  }

  drives(): readonly ServedDrive[] {
    return this.driveSet.all()
  }

  /** Another drive must be made known; a change of condition alone goes with the next beat. */
  driveChanged(drive: ServedDrive): void {
    this.tell({ kind: 'drive', status: drive.status() })
    if (drive.condition === 'up') this.registration?.renew()
  }

  private register(address: string): Registration {
    const { id, zone = '', rack = '', host = '', clock, random } = this.options
    return startRegistrations({
      clock,
      random,
      metadata: this.metadata,
      member: { id, address, zone, rack, host, featureLevel: this.options.identity.featureLevel },
      runStart: new RunStart(clock.wallMicros()),
      registrations: () => this.driveSet.registrations(),
      reports: () => this.driveSet.reports(),
      onTokens: (keys) => {
        this.tokens.learn(keys)
        this.mint.learn(keys)
        this.receipts.learn(keys)
      },
      onChange: ({ registered, error }) =>
        this.tell({ kind: registered ? 'registered' : 'unregistered', error }),
    })
  }

  private async closeInOrder(): Promise<void> {
    await this.registration?.close()
    await this.listener?.close(DRAIN_MS)
    if (this.upkeep !== undefined) await inTime(this.options.clock, UPKEEP_END_MS, this.upkeep.close())
    await this.copier.close()
    await this.metadata.close()
    await this.driveSet.close()
  }

  private tell(event: ChunkServerEvent): void {
    this.options.onEvent?.(event)
  }
}
