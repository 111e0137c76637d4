import { connect, type Socket } from 'node:net'
import { type SecureContext, TLSSocket, connect as tlsConnect } from 'node:tls'
import { formatAddress, type HostAndPort } from './address.js'
import { certifiedRolesOf, TLS_RULES, tlsRefusal, tlsSilence } from './cluster-tls.js'
import { READ_BUFFER_BYTES } from './limits.js'
import type { BindTransport, Transport, TransportEvents } from './transport.js'

/** Connects; reads into one buffer that is used again and again, at a fraction of the cost of `data` events. */
export function dialTransport({ host, port }: HostAndPort, bind: BindTransport): void {
  let events: TransportEvents | undefined
  const socket = connect({
    host,
    port,
    noDelay: true,
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
      callback: (size: number, buffer: Uint8Array) => {
        events?.received(Buffer.from(buffer.buffer, buffer.byteOffset, size))
        return true
      },
    },
  })
  const transport = new TcpTransport(socket, true)
  events = bind(transport)
  transport.follow(events)
}

/** As `dialTransport`, over TLS: what is sent before it is established waits. */
export function dialTlsTransport(to: HostAndPort, secureContext: SecureContext, bind: BindTransport): void {
  // The role is compared when the peer has said who it is; the authority signs for this cluster alone.
  const checkServerIdentity = (): undefined => undefined
  const socket = tlsConnect({
    ...to,
    ...TLS_RULES,
    secureContext,
    checkServerIdentity,
    rejectUnauthorized: true,
  })
  socket.setNoDelay(true)
  const transport = new TcpTransport(socket, false)
  const events = bind(transport)
  let hasAnswered = false
  socket.on('data', (chunk: Buffer) => {
    hasAnswered = true
    events.received(chunk)
  })
  transport.follow(events, (error) => {
    if (error !== undefined && socket.getProtocol() === null) return tlsRefusal(formatAddress(to), error)
    return hasAnswered || !socket.authorized ? error : tlsSilence(formatAddress(to), error)
  })
}

/** Takes an accepted socket, which has no public `onread`. */
export function acceptTransport(socket: Socket, accept: BindTransport): void {
  socket.setNoDelay(true)
  const transport = new TcpTransport(socket, false)
  const events = accept(transport)
  socket.on('data', (chunk: Buffer) => events.received(chunk))
  transport.follow(events)
}

class TcpTransport implements Transport {
  readonly reusesChunks: boolean
  private readonly socket: Socket
  private events: TransportEvents | undefined

  constructor(socket: Socket, reusesChunks: boolean) {
    this.socket = socket
    this.reusesChunks = reusesChunks
  }

  get certifiedRoles(): readonly string[] | undefined {
    return this.socket instanceof TLSSocket ? certifiedRolesOf(this.socket) : undefined
  }

  /** Tells `events` how the socket fares. */
  follow(events: TransportEvents, explain: Explain = itself): void {
    this.events = events
    let failure: Error | undefined
    this.socket.on('error', (error) => {
      failure = error
    })
    this.socket.on('close', () => events.closed(explain(failure)))
  }

  get unsentBytes(): number {
    return this.socket.writableLength
  }

  send(buffers: readonly Uint8Array[]): void {
    const { socket } = this
    const last = buffers.length - 1
    if (last > 0) socket.cork()
    for (let at = 0; at < last; at++) socket.write(buffers[at] as Uint8Array)
    socket.write(buffers[last] as Uint8Array, this.sent)
    if (last > 0) socket.uncork()
  }

  pauseReading(): void {
    this.socket.pause()
  }

  resumeReading(): void {
    this.socket.resume()
  }

  close(): void {
    this.socket.destroySoon()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private readonly sent = (error?: Error | null): void => {
    if (error == null) this.events?.drained()
  }
}

type Explain = (error: Error | undefined) => Error | undefined

function itself(error: Error | undefined): Error | undefined {
  return error
}
