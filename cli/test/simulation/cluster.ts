/**
 * A whole cluster in one process: one metadata service or two, three chunk servers, two clients, each of the real code.
 */
import { type ChunkServer, createChunkServer } from '@cairn/chunk-server'
import {
  type CrashChoice,
  createSimulatedDisk,
  type SimulatedDisk,
  simulatedSegmentDrive,
} from '@cairn/chunk-server/simulation'
import { type ConnectedClient, connectCairn } from '@cairn/client'
import { createMetadataService, type MetadataService } from '@cairn/metadata-service'
import { ServiceDirectory } from '@cairn/protocol'
import { repeatLate } from './late-repeats.js'
import { SimulatedNode } from './node.js'
import type { SimulatedProcess } from './process.js'
import { linkStore } from './store-link.js'
import { identityOf, type World } from './world.js'

const DISK_BYTES = 1024 ** 3
const DISK_LATENCY_MS = 2
/** Small, so that a short run fills, rolls and compacts segments. */
const LIMITS = {
  segmentBytes: 512 * 1024,
  smallBlockBytesMax: 128 * 1024,
  reserveBytes: 256 * 1024,
  tombstoneBytesMin: 512,
  rollBytesMin: 0,
}

/** Where a process of this name listens. */
export function addressOf(name: string): string {
  return `local:${name}`
}

export class MetadataNode extends SimulatedNode {
  service: MetadataService | undefined
  /** Called with each step of an entry; may kill this node. */
  onStep: ((step: 'send' | 'applied') => void) | undefined

  protected async open(process: SimulatedProcess): Promise<void> {
    const { world, name } = this
    const { random, bug } = world
    const store = bug.store?.(world.store, world) ?? world.store
    const network = world.network.host(name)
    const linked = linkStore({
      store,
      process,
      world: world.clock,
      random,
      onStep: (step) => {
        world.trace.step(`entry ${step}`)
        this.onStep?.(step)
      },
    })
    const service = await createMetadataService({
      store: linked,
      clock: process.clock,
      random,
      network: bug.metadataNetwork?.(network, world) ?? network,
      identity: identityOf('metadata', name, this.featureLevel),
      address: addressOf(name),
      isShared: world.services.length > 1,
      gcGraceSeconds: 0,
      orphanGraceSeconds: 0,
      replicas: 3,
      drivesExpected: 3,
    })
    await service.start()
    this.service = service
  }

  protected async close(): Promise<void> {
    await this.service?.close()
  }

  protected killed(): void {
    this.service = undefined
    this.onStep = undefined
  }
}

export class ChunkNode extends SimulatedNode {
  disk: SimulatedDisk
  server: ChunkServer | undefined
  /** The disk may owe a failure that was ordered and has not come yet. */
  hasOrders = false

  constructor(name: string, world: World) {
    super(name, world)
    const { clock, random } = world
    this.disk = createSimulatedDisk({ clock, random, capacityBytes: DISK_BYTES, latencyMs: DISK_LATENCY_MS })
  }

  /** Every drive is in service and known to the metadata service. */
  get isWhole(): boolean {
    const status = this.server?.status()
    return status?.registered === true && status.drives.every(({ condition }) => condition === 'up')
  }

  protected async open(process: SimulatedProcess): Promise<void> {
    const { world, name } = this
    const { random, bug } = world
    const { clock } = process
    this.disk.onOperation = ({ kind, path, bytes }) => world.trace.step(`${name} ${kind} ${path} ${bytes}`)
    const disk = bug.disk?.(this.disk, world, process) ?? this.disk
    const network = world.network.host(name)
    const server = await createChunkServer({
      id: name,
      drives: [simulatedSegmentDrive({ name, disk, clock, random, limits: LIMITS })],
      address: `local:${name}`,
      metadata: new ServiceDirectory({ given: world.services.map(addressOf) }),
      network: bug.chunkNetwork?.(network, world) ?? network,
      identity: identityOf('chunk', name, this.featureLevel),
      clock,
      random,
      durability: 'fsync',
      host: name,
      compactionMs: 1_500,
      onEvent: (event) => {
        if (event.kind === 'upkeep failed') world.trace.note(`${name} upkeep failed: ${event.error}`)
        if (event.kind === 'damage') world.trace.note(`${name} damage: ${event.damage.message}`)
      },
    })
    await server.start()
    this.server = server
  }

  protected async close(): Promise<void> {
    await this.server?.close()
  }

  /** The power goes with the process. */
  protected killed(): void {
    this.server = undefined
    this.hasOrders = false
    this.disk.onOperation = undefined
    const choice = drawCrashChoice(this.world)
    this.world.trace.note(`${this.name} loses power: ${choice.kind}`)
    this.disk = this.disk.crash(choice)
    this.disk.setCapacity(DISK_BYTES)
  }

  /** Ends the failures that were ordered: the server starts anew, or finds a disk without orders when it does. */
  cancelOrders(): void {
    this.crash(100)
    if (this.hasOrders) this.disk = this.disk.crash({ kind: 'kept' })
    this.hasOrders = false
  }

  /** Leaves about so much free space; `undefined` gives all of it back. */
  async setFree(freeBytes: number | undefined): Promise<void> {
    const space = await this.disk.space()
    const usedBytes = space.capacityBytes - space.freeBytes
    this.disk.setCapacity(freeBytes === undefined ? DISK_BYTES : usedBytes + freeBytes)
  }
}

function drawCrashChoice(world: World): CrashChoice {
  const { random } = world
  const choices: CrashChoice[] = [
    { kind: 'lost' },
    { kind: 'lost' },
    { kind: 'kept' },
    { kind: 'subset', random, grainBytes: 512 },
    { kind: 'subset', random, grainBytes: 4096 },
    { kind: 'torn', keptBytes: 512 * world.draw(64) },
  ]
  return world.pick(choices)
}

export class ClientNode extends SimulatedNode {
  client: ConnectedClient | undefined
  /** Probability that a change is sent again, late, after it was answered. */
  repeats = 0

  protected async open(process: SimulatedProcess): Promise<void> {
    const { world, name } = this
    const { random, bug } = world
    const { clock } = process
    const host = world.network.host(name)
    const late = {
      clock,
      random,
      probability: () => this.repeats,
    }
    this.client = await connectCairn({
      network: repeatLate(bug.clientNetwork?.(host, world) ?? host, late),
      metadata: world.services.map(addressOf),
      identity: identityOf('client', name, this.featureLevel),
      clock,
      random,
    })
  }

  protected async close(): Promise<void> {
    await this.client?.close()
  }

  protected killed(): void {
    this.client = undefined
  }
}

export class SimulatedCluster {
  readonly world: World
  readonly services: readonly MetadataNode[]
  readonly chunks: readonly ChunkNode[]
  readonly clients: readonly ClientNode[]

  constructor(world: World) {
    this.world = world
    this.services = world.services.map((name) => new MetadataNode(name, world))
    this.chunks = ['chunk-1', 'chunk-2', 'chunk-3'].map((name) => new ChunkNode(name, world))
    this.clients = ['client-1', 'client-2'].map((name) => new ClientNode(name, world))
  }

  get nodes(): readonly SimulatedNode[] {
    return [...this.services, ...this.chunks, ...this.clients]
  }

  start(): void {
    for (const node of this.nodes) node.start()
  }

  /** Everything runs and every drive takes writes. */
  get isWhole(): boolean {
    return this.nodes.every(({ ready }) => ready) && this.chunks.every(({ isWhole }) => isWhole)
  }
}
