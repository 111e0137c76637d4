/**
 * Does harm to a simulated cluster, never more than its redundancy bears: processes and power may fail everywhere at
 * once, since what was acknowledged is synced; bytes rot on one drive only, since two others may hold no copy.
 */
import type { ChunkNode, MetadataNode, SimulatedCluster } from './cluster.js'
import type { SimulatedNode } from './node.js'
import { pause } from './process.js'
import type { World } from './world.js'

/** Ends a fault; does nothing if it has ended by itself. */
type End = () => void

/** Starts a fault. */
type Fault = (nemesis: Nemesis) => End

const LEASE_MS = 10_000
const LOST_LEASE = 'lost lease'
/** Long faults outlast a lease. */
const SHORT_MS = 1_500
const LONG_MS = 16_000

export class Nemesis {
  readonly world: World
  readonly cluster: SimulatedCluster
  /** The only drive whose bytes rot. */
  readonly rotting: ChunkNode
  private readonly faults: readonly (readonly [string, Fault])[]
  private readonly meanPauseMs: number
  private isOver = false

  constructor(cluster: SimulatedCluster) {
    const { world } = cluster
    this.world = world
    this.cluster = cluster
    this.rotting = world.pick(cluster.chunks)
    const all = Object.entries(FAULTS)
    const share = world.pick([0.2, 0.5, 1])
    const some = all.filter(() => world.chance(share))
    this.faults = some.length > 0 ? some : all
    this.meanPauseMs = world.pick([300, 1_000, 3_000])
    world.trace.note(`faults: ${this.faults.map(([name]) => name).join(', ')}`)
  }

  /** One fault after the other until `stop`; run several at once for faults that overlap. */
  async run(): Promise<void> {
    const { world } = this
    while (!this.isOver) {
      await pause(world.clock, world.random.fraction() * 2 * this.meanPauseMs)
      if (this.isOver) return
      const [name, begin] = world.pick(this.faults)
      const durationMs = this.drawDurationMs(name)
      world.trace.note(`fault ${name} for ${durationMs.toFixed(0)} ms`)
      const end = begin(this)
      await pause(world.clock, durationMs)
      end()
    }
  }

  private drawDurationMs(name: string): number {
    const { world } = this
    if (name === LOST_LEASE) return LEASE_MS + 1_000 + world.draw(4_000)
    return world.random.fraction() * (world.chance(0.25) ? LONG_MS : SHORT_MS)
  }

  stop(): void {
    this.isOver = true
  }

  anyNode(): SimulatedNode {
    return this.world.pick(this.cluster.nodes)
  }

  anyChunk(): ChunkNode {
    return this.world.pick(this.cluster.chunks)
  }

  /** Two nodes that talk to each other. */
  anyPair(): [string, string] {
    const { cluster, world } = this
    const server = world.pick<SimulatedNode>([...cluster.services, ...cluster.chunks])
    const isService = cluster.services.some((service) => service === server)
    const others = isService ? [...cluster.chunks, ...cluster.clients] : cluster.clients
    const pair: [string, string] = [server.name, world.pick<SimulatedNode>(others).name]
    return world.chance(0.5) ? pair : [pair[1], pair[0]]
  }

  anyService(): MetadataNode {
    return this.world.pick(this.cluster.services)
  }

  downMs(): number {
    return this.world.random.fraction() * (this.world.chance(0.2) ? 4_000 : 400)
  }
}

const NOTHING: End = () => undefined

const FAULTS: Readonly<Record<string, Fault>> = {
  'crash of a client': (nemesis) => crash(nemesis, nemesis.world.pick(nemesis.cluster.clients)),
  'crash of a metadata service': (nemesis) => crash(nemesis, nemesis.anyService()),
  'crash of the coordinator'(nemesis) {
    const { services } = nemesis.cluster
    const coordinator = services.find(({ service }) => service?.status().isCoordinator === true)
    return coordinator === undefined ? NOTHING : crash(nemesis, coordinator)
  },
  'power cut of a drive': (nemesis) => crash(nemesis, nemesis.anyChunk()),
  blackout(nemesis) {
    for (const node of [...nemesis.cluster.services, ...nemesis.cluster.chunks]) node.crash(nemesis.downMs())
    return NOTHING
  },
  'power cut at a disk step': (nemesis) => cutAtDiskStep(nemesis, nemesis.anyChunk()),
  'crash at a store step': crashAtStoreStep,
  'store fault'({ world }) {
    const kinds = ['lost-before', 'lost-after', 'late', 'too-large', undefined] as const
    world.store.inject(...Array.from({ length: 1 + world.draw(3) }, () => world.pick(kinds)))
    return NOTHING
  },
  'lost reads'({ world }) {
    world.store.failReads(1 + world.draw(3))
    return NOTHING
  },
  partition(nemesis) {
    const [a, b] = nemesis.anyPair()
    nemesis.world.trace.note(`partition of ${a} and ${b}`)
    return nemesis.world.network.partition(a, b, nemesis.world.pick(['break', 'hold'] as const))
  },
  'one way held'(nemesis) {
    const [from, to] = nemesis.anyPair()
    nemesis.world.trace.note(`${from} to ${to} is held`)
    return nemesis.world.network.hold(from, to)
  },
  [LOST_LEASE]({ world, cluster }) {
    const client = world.pick(cluster.clients)
    world.trace.note(`${client.name} cannot renew its lease`)
    const ends = cluster.services.map(({ name }) => world.network.hold(client.name, name))
    return () => {
      for (const end of ends) end()
    }
  },
  'lost bytes'(nemesis) {
    const [from, to] = nemesis.anyPair()
    nemesis.world.network.loseNext(from, to)
    return NOTHING
  },
  'dropped connections'(nemesis) {
    nemesis.world.network.dropConnections(...nemesis.anyPair())
    return NOTHING
  },
  'slow way'(nemesis) {
    const { world } = nemesis
    const [from, to] = nemesis.anyPair()
    world.network.setDelay(from, to, { msMin: 20, msMax: 300 })
    return () => world.network.setDelay(from, to, { msMin: 0.05, msMax: 1 })
  },
  'paused process': pauseProcess,
  'full disk'(nemesis) {
    const node = nemesis.anyChunk()
    node.setFree(nemesis.world.draw(600_000)).catch(() => undefined)
    return () => {
      node.setFree(undefined).catch(() => undefined)
    }
  },
  'failed write or sync'(nemesis) {
    const node = nemesis.anyChunk()
    const kind = nemesis.world.pick(['sync', 'write', 'syncFolder'] as const)
    node.disk.fail(kind, 1 + nemesis.world.draw(8))
    node.hasOrders = true
    return () => node.crash(nemesis.downMs())
  },
  'failed reads'(nemesis) {
    const node = nemesis.anyChunk()
    node.disk.fail('read', 1 + nemesis.world.draw(4))
    node.hasOrders = true
    return NOTHING
  },
  'flipped bits': flipBits,
  'wall clock jump'({ world }) {
    world.clock.jumpWall((world.random.fraction() - 0.5) * 20_000)
    return NOTHING
  },
}

function crash(nemesis: Nemesis, node: SimulatedNode): End {
  node.crash(nemesis.downMs())
  return NOTHING
}

/** Also while the server is recovering from an earlier one. */
function cutAtDiskStep(nemesis: Nemesis, node: ChunkNode): End {
  const { disk } = node
  const before = disk.onOperation
  let countdown = 1 + nemesis.world.draw(60)
  disk.onOperation = (operation) => {
    before?.(operation)
    if (--countdown === 0 && node.disk === disk) node.crash(nemesis.downMs())
  }
  return () => {
    countdown = 0
  }
}

function crashAtStoreStep(nemesis: Nemesis): End {
  const metadata = nemesis.anyService()
  let countdown = 1 + nemesis.world.draw(12)
  metadata.onStep = () => {
    if (--countdown === 0) metadata.crash(nemesis.downMs())
  }
  return () => {
    metadata.onStep = undefined
  }
}

/** As SIGSTOP: its timers wait, and what it sends and gets is held. */
function pauseProcess(nemesis: Nemesis): End {
  const { cluster, world } = nemesis
  const node = nemesis.anyNode()
  const process = node.running
  world.trace.note(`${node.name} is paused`)
  process?.pause()
  const others = cluster.nodes.filter((other) => other !== node)
  const heals = others.map((other) => world.network.partition(node.name, other.name, 'hold'))
  return () => {
    for (const heal of heals) heal()
    process?.resume()
  }
}

/** Only where segments lie: a drive that has lost its identity needs a hand. */
function flipBits(nemesis: Nemesis): End {
  const { world, rotting } = nemesis
  const names = new Set(
    rotting.disk.log.map(({ path }) => path).filter((path) => path.startsWith('segments/')),
  )
  for (const path of names) {
    const size = rotting.disk.peek(path)?.length ?? 0
    if (size === 0) continue
    const offset = world.draw(size)
    world.trace.note(`bit ${offset} of ${path} on ${rotting.name} flips`)
    rotting.disk.flip(path, offset, 1 << world.draw(8))
  }
  return NOTHING
}
