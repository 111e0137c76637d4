/** Two chunk servers with one drive of segments each, on simulated disks, and a caller of the second. */
import { createRouter, type Random, type RpcPeer } from '@cairn/protocol'
import {
  connectAsCaller,
  createSeededRandom,
  createSimulatedClock,
  type SimulatedClock,
} from '@cairn/protocol/simulation'
import { type ChunkServer, createChunkServer } from '../../src/app.js'
import type { BlockStore } from '../../src/ports.js'
import { createSimulatedDisk, type SimulatedDisk, simulatedSegmentDrive } from '../../src/simulation/index.js'
import { TIGHT } from '../core/store/segment-world.js'
import { recordMetadata } from './metadata-stub.js'
import { createTestNetwork, identity, type TestNetwork } from './network.js'

export class TwoServers {
  readonly random: Random = createSeededRandom(12)
  readonly clock: SimulatedClock = createSimulatedClock(this.random)
  readonly network: TestNetwork = createTestNetwork(this.clock, this.random)
  readonly disks: SimulatedDisk[]
  readonly servers: ChunkServer[] = []
  peer!: RpcPeer

  private constructor() {
    const { clock, random } = this
    this.disks = [0, 1].map(() => createSimulatedDisk({ clock, random }))
  }

  static async open(): Promise<TwoServers> {
    const world = new TwoServers()
    await world.run(() => world.setUp())
    return world
  }

  private async setUp(): Promise<void> {
    const router = createRouter()
    recordMetadata(router)
    await this.network.listen('local:metadata', router, { ...identity, role: 'metadata' })
    for (const at of this.disks.keys()) await this.start(at)
    this.peer = connectAsCaller(this.network, 'local:c1', identity, 'chunk')
  }

  /** Runs a step of the test while simulated time goes on. */
  run<T>(step: () => Promise<T>): Promise<T> {
    return this.clock.runUntil(step())
  }

  async start(at: number): Promise<void> {
    const { clock, random, network } = this
    const disk = this.disks[at]
    if (disk === undefined) throw new RangeError(`no disk ${at}`)
    const drive = simulatedSegmentDrive({ name: `drive ${at}`, disk, clock, random, limits: TIGHT })
    const place = { id: `c${at}`, drives: [drive], address: `local:c${at}`, metadata: 'local:metadata' }
    const server = await createChunkServer({
      ...{ clock, random, network, identity },
      ...place,
      durability: 'fsync',
    })
    this.servers[at] = server
    await server.start()
    await server.registered()
  }

  driveId(at: number): string {
    return this.servers[at]?.status().drives[0]?.drive ?? ''
  }

  storeOf(at: number): BlockStore {
    const drive = this.servers[at]?.drives()[0]
    if (drive === undefined) throw new RangeError(`no server ${at}`)
    return drive.writable()
  }

  close(): Promise<void> {
    return this.run(async () => {
      for (const server of this.servers) await server.close()
    })
  }
}
