/** What all of one simulated run share: time, chance, the network, the store under the metadata service, the trace. */
import type { Disk } from '@cairn/chunk-server'
import { createMemoryEntryStore, type EntryStore } from '@cairn/metadata-service'
import { createFaultyEntryStore, type FaultyEntryStore } from '@cairn/metadata-service/simulation'
import type { HandshakeIdentity, Network, Random } from '@cairn/protocol'
import {
  createSeededRandom,
  createSimulatedClock,
  createSimulatedNetwork,
  type SimulatedClock,
  type SimulatedNetwork,
} from '@cairn/protocol/simulation'
import type { SimulatedProcess } from './process.js'
import { Trace } from './trace.js'

/** A bug put into the cluster from outside, by wrapping what a process gets of the world. */
export interface SeededBug {
  disk?(disk: Disk, world: World, process: SimulatedProcess): Disk
  store?(store: EntryStore, world: World): EntryStore
  clientNetwork?(network: Network, world: World): Network
  metadataNetwork?(network: Network, world: World): Network
  chunkNetwork?(network: Network, world: World): Network
}

export class World {
  readonly seed: number
  readonly bug: SeededBug
  /** Names of the metadata services: two on one store, or one that has it for itself. */
  readonly services: readonly string[]
  readonly random: Random
  readonly clock: SimulatedClock
  readonly network: SimulatedNetwork
  readonly store: FaultyEntryStore
  readonly trace: Trace

  constructor(seed: number, bug: SeededBug = {}) {
    this.seed = seed
    this.bug = bug
    this.services = seed % 2 === 0 ? ['metadata', 'metadata-2'] : ['metadata']
    this.random = createSeededRandom(seed)
    this.clock = createSimulatedClock(this.random)
    this.trace = new Trace(this.clock)
    this.network = createSimulatedNetwork({
      clock: this.clock,
      random: this.random,
      onError: (error, where) => this.trace.note(`${where} failed: ${error}`),
    })
    const { clock, random } = this
    this.store = createFaultyEntryStore({ store: createMemoryEntryStore({ clock }), random })
  }

  /** A whole number from 0 to below `below`. */
  draw(below: number): number {
    return Math.floor(this.random.fraction() * below)
  }

  chance(probability: number): boolean {
    return this.random.fraction() < probability
  }

  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new RangeError('nothing to pick from')
    return choices[this.draw(choices.length)] as T
  }
}

export const CLUSTER_ID = 'simulated'

export function identityOf(role: string, name: string, featureLevel = 1): HandshakeIdentity {
  const clusterSecret = Buffer.from('the secret of a simulated cluster')
  return { role, name, clusterId: CLUSTER_ID, featureLevel, clusterSecret }
}
