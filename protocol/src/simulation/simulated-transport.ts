/** One end of a simulated connection: a queue of what is under way to the other end. */
import type { CancelTimer, Clock, Random } from '../ports.js'
import type { Transport, TransportEvents } from '../rpc/transport.js'
import type { Route } from './network-route.js'

/** One run of a process, from its start to its crash. */
export interface SimulatedHost {
  readonly name: string
  alive: boolean
}

/** Where one end stands, and its way to the other. */
export interface SimulatedTransportOptions {
  readonly clock: Clock
  readonly random: Random
  readonly host: SimulatedHost
  /** From this end's host to the other's. */
  readonly route: Route
  /** Called when nothing of this end is under way any more. */
  onClosed(transport: SimulatedTransport): void
}

interface Parcel {
  readonly dueMs: number
  readonly sizeBytes: number
  arrive(): void
}

/** See the head of this file. */
export class SimulatedTransport implements Transport {
  readonly reusesChunks = false
  readonly host: SimulatedHost
  readonly route: Route
  events: TransportEvents | undefined
  other: SimulatedTransport | undefined
  private readonly options: SimulatedTransportOptions
  private parcels: Parcel[] = []
  private unsentSize = 0
  private paused = false
  private state: 'open' | 'closing' | 'closed' = 'open'
  private cancelTimer: CancelTimer | undefined

  constructor(options: SimulatedTransportOptions) {
    this.options = options
    this.host = options.host
    this.route = options.route
  }

  get unsentBytes(): number {
    return this.unsentSize
  }

  send(buffers: readonly Uint8Array[]): void {
    if (this.state !== 'open') return
    if (this.route.losesNext) {
      this.route.losesNext = false
      this.breakOff(new Error('simulated loss'))
      return
    }
    const sizeBytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    this.post(sizeBytes, () => {
      this.other?.hear(buffers)
      this.events?.drained()
    })
  }

  /** Puts something under way: it arrives after all that was posted before it. */
  post(sizeBytes: number, arrive: () => void): void {
    const { clock, random } = this.options
    const dueMs = clock.monotonicMs() + this.route.drawDelayMs(random)
    this.unsentSize += sizeBytes
    this.parcels.push({ dueMs, sizeBytes, arrive })
    this.deliverLater()
  }

  pauseReading(): void {
    this.paused = true
  }

  resumeReading(): void {
    this.paused = false
    this.other?.deliverLater()
  }

  close(): void {
    if (this.state !== 'open') return
    this.state = 'closing'
    this.post(0, () => this.breakOff(undefined))
  }

  destroy(): void {
    if (this.state === 'closed') return
    this.shut(undefined)
    this.post(0, () => {
      this.other?.end(undefined)
      this.options.onClosed(this)
    })
  }

  /** Breaks the connection for both ends; what is under way is lost. */
  breakOff(cause: Error | undefined): void {
    this.end(cause)
    this.other?.end(cause)
  }

  /** Ends this end alone: whatever the other still sends is lost. */
  end(cause: Error | undefined): void {
    if (this.state === 'closed') return
    this.shut(cause)
    this.options.onClosed(this)
  }

  private shut(cause: Error | undefined): void {
    this.state = 'closed'
    this.parcels = []
    this.unsentSize = 0
    this.cancelTimer?.()
    this.cancelTimer = undefined
    this.options.clock.setTimer(0, () => this.events?.closed(cause))
  }

  /** Lets the next parcel go, unless it is held. */
  deliverLater(): void {
    const [next] = this.parcels
    if (next === undefined || this.cancelTimer !== undefined || this.isStopped) return
    const { clock } = this.options
    this.cancelTimer = clock.setTimer(Math.max(0, next.dueMs - clock.monotonicMs()), this.deliver)
  }

  private get isStopped(): boolean {
    return this.route.held || this.other?.paused === true
  }

  private readonly deliver = (): void => {
    this.cancelTimer = undefined
    if (this.isStopped) return
    const parcel = this.parcels.shift()
    if (parcel === undefined) return
    this.unsentSize -= parcel.sizeBytes
    parcel.arrive()
    this.deliverLater()
  }

  private hear(buffers: readonly Uint8Array[]): void {
    for (const buffer of buffers) {
      if (this.state === 'closed') return
      this.events?.received(Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength))
    }
  }
}
