/** The RPC over TCP, for addresses `host:port` and `[IPv6]:port`. */
import { createServer, type Server, type Socket } from 'node:net'
import { CairnError } from '../errors.js'
import { formatAddress, parseAddress } from './address.js'
import type { ConnectionContext } from './connection.js'
import { createLayeredNetwork } from './layered-network.js'
import { acceptTransport, dialTransport } from './tcp-transport.js'
import type { TransportLayer } from './transport.js'
import type { Network } from './types.js'

/** A network over TCP; `listen` rejects with `InvalidArgument`, its cause the system error (`EADDRINUSE` …). */
export function createTcpNetwork(options: ConnectionContext): Network {
  return createLayeredNetwork(tcpLayer, options)
}

const tcpLayer: TransportLayer = {
  async listen(address, _localName, accept) {
    const { host, port } = parseAddress(address)
    const server = createServer((socket: Socket) => acceptTransport(socket, accept))
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
  },
  dial(address, _localName, bind) {
    dialTransport(parseAddress(address), bind)
  },
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
