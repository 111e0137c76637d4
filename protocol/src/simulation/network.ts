/**
 * A network that exists only in a seeded schedule, with the real frames and connections on top. Bytes keep their
 * order within a connection, as TCP keeps it, and none is lost but with its connection.
 *
 * Hosts are named by the handshake: whoever listens or connects as `name` is host `name`. Delays are drawn anew for
 * every batch of bytes. Faults act at once, on connections that are open and on those still to come.
 */
import { CairnError } from '../errors.js'
import type { Clock, Random } from '../ports.js'
import type { OnRpcError } from '../rpc/connection.js'
import { createLayeredNetwork } from '../rpc/layered-network.js'
import type { BindTransport, TransportLayer } from '../rpc/transport.js'
import type { Network } from '../rpc/types.js'
import { type DelayRange, Routes } from './network-route.js'
import { type SimulatedHost, SimulatedTransport } from './simulated-transport.js'

export type { DelayRange } from './network-route.js'

/** The world a simulated network lives in. */
export interface SimulatedNetworkOptions {
  readonly clock: Clock
  readonly random: Random
  readonly onError?: OnRpcError
  /** Of routes without a range of their own; 0.05 to 1 ms unless given. */
  readonly delay?: DelayRange
}

/** `break`: connections break and new ones are refused. `hold`: bytes wait, and arrive once it is healed. */
export type PartitionMode = 'break' | 'hold'

/** Ends a fault; calling it again does nothing. */
export type Heal = () => void

/** A network whose faults are at command; see the head of this file. */
export interface SimulatedNetwork extends Network {
  /** The network as host `name` sees it until that host crashes; from then on this view reaches nobody. */
  host(name: string): Network
  /** Sets the delay of bytes from one host to another. */
  setDelay(from: string, to: string, delay: DelayRange): void
  /** Breaks all connections between two hosts; what is under way is lost. They may connect again. */
  dropConnections(a: string, b: string): void
  partition(a: string, b: string, mode: PartitionMode): Heal
  /** Bytes from one host to another wait until the fault is healed: held requests, or held answers. */
  hold(from: string, to: string): Heal
  /** The next bytes from one host to another are lost, and their connection with them: a lost answer. */
  loseNext(from: string, to: string): void
  /**
   * All connections of a host break and its addresses are free again. A `silent` crash tells nobody: the peers find
   * out by keep-alive or deadline. Whoever next listens or connects by that name is the host started again.
   */
  crash(name: string, options?: { readonly silent?: boolean }): void
}

const DELAY: DelayRange = { msMin: 0.05, msMax: 1 }

/** Makes a network without hosts; they come into being by listening or connecting. */
export function createSimulatedNetwork(options: SimulatedNetworkOptions): SimulatedNetwork {
  const world = new World(options)

  function host(name: string): Network {
    return createLayeredNetwork(world.layerOf(name), options)
  }

  return {
    listen: (address, router, identity) => host(identity.name).listen(address, router, identity),
    connect: (address, identity, role) => host(identity.name).connect(address, identity, role),
    host,
    setDelay(from, to, delay): void {
      world.routes.get(from, to).delay = delay
    },
    dropConnections: (a, b) => world.dropConnections(a, b),
    partition: (a, b, mode) => world.partition(a, b, mode),
    hold: (from, to) => world.hold(from, to),
    loseNext(from, to): void {
      world.routes.get(from, to).losesNext = true
    },
    crash: (name, { silent = false } = {}) => world.crash(name, silent ? 'silent' : 'loud'),
  }
}

interface Listening {
  readonly host: SimulatedHost
  readonly accept: BindTransport
}

class World {
  readonly routes: Routes
  private readonly options: SimulatedNetworkOptions
  private readonly hosts: Map<string, SimulatedHost> = new Map()
  private readonly listeners: Map<string, Listening> = new Map()
  private readonly transports: Set<SimulatedTransport> = new Set()

  constructor(options: SimulatedNetworkOptions) {
    this.options = options
    this.routes = new Routes(options.delay ?? DELAY)
  }

  layerOf(name: string): TransportLayer {
    const host = this.hosts.get(name) ?? { name, alive: true }
    this.hosts.set(name, host)
    return {
      listen: async (address, _localName, accept) => this.listen(host, address, accept),
      dial: (address, _localName, bind) => this.dial(host, address, bind),
    }
  }

  dropConnections(a: string, b: string): void {
    for (const transport of this.transports) {
      const ends = [transport.host.name, transport.other?.host.name]
      if (ends.includes(a) && ends.includes(b)) transport.breakOff(new Error('simulated loss'))
    }
  }

  partition(a: string, b: string, mode: PartitionMode): Heal {
    if (mode === 'hold') {
      const heals = [this.hold(a, b), this.hold(b, a)]
      return () => {
        for (const heal of heals) heal()
      }
    }
    const ways = [this.routes.get(a, b), this.routes.get(b, a)]
    for (const way of ways) way.refuseCount++
    this.dropConnections(a, b)
    return once(() => {
      for (const way of ways) way.refuseCount--
    })
  }

  hold(from: string, to: string): Heal {
    const route = this.routes.get(from, to)
    route.holdCount++
    return once(() => {
      route.holdCount--
      for (const transport of this.transports) transport.deliverLater()
    })
  }

  crash(name: string, manner: 'silent' | 'loud'): void {
    const host = this.hosts.get(name)
    if (host === undefined) return
    host.alive = false
    this.hosts.delete(name)
    for (const [address, listening] of this.listeners) {
      if (listening.host === host) this.listeners.delete(address)
    }
    for (const transport of this.transports) {
      if (transport.host !== host) continue
      if (manner === 'silent') transport.end(new Error('simulated crash'))
      else transport.breakOff(new Error('simulated crash'))
    }
  }

  private listen(
    host: SimulatedHost,
    address: string,
    accept: BindTransport,
  ): { address: string; stop(): Promise<void> } {
    if (!host.alive) throw new CairnError('ConnectionLost', `${host.name} has crashed`)
    if (this.listeners.has(address)) throw new CairnError('InvalidArgument', `${address} is in use`)
    const listening = { host, accept }
    this.listeners.set(address, listening)
    return {
      address,
      stop: async () => {
        if (this.listeners.get(address) === listening) this.listeners.delete(address)
      },
    }
  }

  private dial(host: SimulatedHost, address: string, bind: BindTransport): void {
    const target = this.listeners.get(address)
    const near = this.open(host, target?.host ?? host)
    near.events = bind(near)
    if (!host.alive) near.end(new Error(`${host.name} has crashed`))
    else near.post(0, () => this.arrive(near, address))
  }

  /** A connect request reaches its address: somebody listens there, or it is refused. */
  private arrive(near: SimulatedTransport, address: string): void {
    const target = this.listeners.get(address)
    if (target === undefined || near.route.refuseCount > 0) {
      near.end(new Error(`nobody can be reached at ${address}`))
      return
    }
    const far = this.open(target.host, near.host)
    far.other = near
    near.other = far
    far.events = target.accept(far)
  }

  private open(from: SimulatedHost, to: SimulatedHost): SimulatedTransport {
    const { clock, random } = this.options
    const transport = new SimulatedTransport({
      clock,
      random,
      host: from,
      route: this.routes.get(from.name, to.name),
      onClosed: (closed) => this.transports.delete(closed),
    })
    this.transports.add(transport)
    return transport
  }
}

function once(task: () => void): () => void {
  let done = false
  return () => {
    if (!done) task()
    done = true
  }
}
