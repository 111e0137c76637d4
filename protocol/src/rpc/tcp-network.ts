/** The RPC over TCP, for addresses `host:port` and `[IPv6]:port`; with certificates, over TLS and nothing else. */
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { CairnError } from '../errors.js'
import { AgingMap } from '../turnover.js'
import { formatAddress, parseAddress } from './address.js'
import { type ClusterTlsSource, callerRefused, TLS_RULES, TlsContexts } from './cluster-tls.js'
import type { ConnectionContext } from './connection.js'
import { createLayeredNetwork } from './layered-network.js'
import { CONNECTIONS_PER_LISTENER_MAX, HANDSHAKE_DEADLINE_MS } from './limits.js'
import { acceptTransport, dialTlsTransport, dialTransport } from './tcp-transport.js'
import type { BindTransport, TransportLayer } from './transport.js'
import type { Network } from './types.js'

/** What a network over TCP needs of its world. */
export interface TcpNetworkOptions extends ConnectionContext {
  /** Certificates for mutual TLS; without them the bytes of the cluster travel in the clear. */
  readonly tls?: ClusterTlsSource
}

/** A network over TCP; `listen` rejects with `InvalidArgument`, its cause the system error (`EADDRINUSE` …). */
export function createTcpNetwork(options: TcpNetworkOptions): Network {
  const { tls } = options
  return createLayeredNetwork(tls === undefined ? plainLayer : tlsLayer(tls, options), options)
}

const plainLayer: TransportLayer = {
  listen: (address, _localName, accept) =>
    listenAt(
      address,
      createServer((socket: Socket) => acceptTransport(socket, accept)),
    ),
  dial(address, _localName, bind) {
    dialTransport(parseAddress(address), bind)
  },
}

function tlsLayer(source: ClusterTlsSource, { onError }: ConnectionContext): TransportLayer {
  const contexts = new TlsContexts(source)
  return {
    listen: (address, _localName, accept) => listenAt(address, tlsServer(source, accept, onError)),
    dial(address, _localName, bind) {
      dialTlsTransport(parseAddress(address), contexts.current(), bind)
    },
  }
}

/** Takes a changed certificate with the next connection. */
function tlsServer(
  source: ClusterTlsSource,
  accept: BindTransport,
  onError: ConnectionContext['onError'],
): Server {
  const limits = { handshakeTimeout: HANDSHAKE_DEADLINE_MS, requestCert: true, rejectUnauthorized: true }
  let used = source.current()
  const server = createTlsServer({ ...used, ...TLS_RULES, ...limits }, (socket) =>
    acceptTransport(socket, accept),
  )
  const strangers = new Strangers()
  server.on('secureConnection', (socket) => strangers.leave(socket))
  server.prependListener('connection', (socket: Socket) => {
    strangers.enter(socket)
    const current = source.current()
    if (current !== used) server.setSecureContext({ ...current, ...TLS_RULES })
    used = current
  })
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    onError?.(callerRefused(socket, error), 'handshake')
  })
  return server
}

/** Connections without a certificate so far. They have a bound of their own, and the oldest gives way to the newest. */
class Strangers {
  private readonly sockets = new AgingMap<string, Socket>()

  enter(socket: Socket): void {
    const name = peerOf(socket)
    socket.once('close', () => {
      if (this.sockets.get(name) === socket) this.sockets.delete(name)
    })
    this.sockets.set(name, socket)
    if (this.sockets.size > CONNECTIONS_PER_LISTENER_MAX) this.sockets.takeOldest()?.destroy()
  }

  leave(socket: TLSSocket): void {
    this.sockets.delete(peerOf(socket))
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

async function listenAt(
  address: string,
  server: Server,
): Promise<{ readonly address: string; stop(): Promise<void> }> {
  const { host, port } = parseAddress(address)
  await listening(server, host, port)
  const bound = server.address()
  const realPort = typeof bound === 'object' && bound !== null ? bound.port : port
  return {
    address: formatAddress({ host, port: realPort }),
    // Resolves without waiting for open sockets: they belong to their connections.
    async stop(): Promise<void> {
      server.close()
    },
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const words = `cannot listen at ${formatAddress({ host, port })}: ${cause.message}`
      reject(new CairnError('InvalidArgument', words, { cause }))
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      // A failed accept (no descriptors left) is transient, and the dialling side hears of it.
      server.on('error', () => undefined)
      resolve()
    })
  })
}
