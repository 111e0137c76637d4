/**
 * The RPC inside one process, for addresses `local:<name>`: the same connections and frames as over TCP, with
 * buffers passed by reference; calls whose bodies are at hand take the short way of `direct-call.ts`. Names belong to
 * one network: two networks in a process do not see each other.
 */
import { CairnError } from '../errors.js'
import type { ConnectionContext } from './connection.js'
import { createLayeredNetwork } from './layered-network.js'
import type { BindTransport, Transport, TransportEvents, TransportLayer } from './transport.js'
import type { Network } from './types.js'

/** A network of its own inside this process; see the head of this file. */
export function createLocalNetwork(options: ConnectionContext): Network {
  return createLayeredNetwork(createLocalLayer(), options)
}

function createLocalLayer(): TransportLayer {
  const listeners = new Map<string, BindTransport>()
  return {
    async listen(address, _localName, accept) {
      if (listeners.has(address)) throw new CairnError('InvalidArgument', `${address} is in use`)
      listeners.set(address, accept)
      return {
        address,
        async stop(): Promise<void> {
          if (listeners.get(address) === accept) listeners.delete(address)
        },
      }
    },
    dial(address, _localName, bind) {
      const near = new LocalTransport()
      near.events = bind(near)
      queueMicrotask(() => {
        const accept = listeners.get(address)
        if (accept === undefined) near.breakOff(new Error(`nobody listens at ${address}`))
        else meet(near, accept)
      })
    },
  }
}

function meet(near: LocalTransport, accept: BindTransport): void {
  const far = new LocalTransport()
  far.other = near
  far.events = accept(far)
  near.other = far
  near.deliverLater()
}

/** One end. What is sent waits here until a later microtask hands it to the other end. */
class LocalTransport implements Transport {
  readonly reusesChunks = false
  events: TransportEvents | undefined
  other: LocalTransport | undefined
  private unsent: Uint8Array[] = []
  private unsentSize = 0
  private paused = false
  private state: 'open' | 'closing' | 'closed' = 'open'
  private deliveryDue = false

  get unsentBytes(): number {
    return this.unsentSize
  }

  neighbour(): TransportEvents | undefined {
    return this.state === 'open' && this.other?.state === 'open' ? this.other.events : undefined
  }

  send(buffers: readonly Uint8Array[]): void {
    if (this.state !== 'open') return
    for (const buffer of buffers) {
      this.unsent.push(buffer)
      this.unsentSize += buffer.length
    }
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
    this.deliverLater()
  }

  destroy(): void {
    if (this.state === 'closed') return
    const { other } = this
    queueMicrotask(() => other?.breakOff(undefined))
    this.breakOff(undefined)
  }

  /** Ends this end; what it had not sent is lost. */
  breakOff(cause: Error | undefined): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.unsent = []
    this.unsentSize = 0
    const { events } = this
    queueMicrotask(() => events?.closed(cause))
  }

  deliverLater(): void {
    if (this.deliveryDue || this.other === undefined) return
    this.deliveryDue = true
    queueMicrotask(this.deliver)
  }

  private readonly deliver = (): void => {
    this.deliveryDue = false
    const { other } = this
    if (other === undefined || other.paused || this.state === 'closed') return
    const buffers = this.unsent
    const size = this.unsentSize
    this.unsent = []
    for (const buffer of buffers) other.hear(buffer)
    // Only now: what is sent while these are being heard must not overtake the rest of them.
    this.unsentSize = Math.max(0, this.unsentSize - size)
    if (buffers.length > 0) this.events?.drained()
    if (this.state === 'closing') this.destroy()
  }

  private hear(buffer: Uint8Array): void {
    if (this.state === 'closed') return
    const chunk = Buffer.isBuffer(buffer)
      ? buffer
      : Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength)
    this.events?.received(chunk)
  }
}
