import type { ConnectionContext } from './connection.js'
import { listen } from './listener.js'
import { Peer } from './peer.js'
import type { TransportLayer } from './transport.js'
import type { Network } from './types.js'

/** The RPC over any kind of transport. */
export function createLayeredNetwork(layer: TransportLayer, context: ConnectionContext): Network {
  return {
    listen: (address, table, identity) => listen({ ...context, layer, address, table, identity }),
    connect: (address, identity, role) => new Peer({ ...context, layer, address, identity, role }),
  }
}
