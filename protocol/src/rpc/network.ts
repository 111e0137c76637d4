import { createLocalNetwork } from './local-network.js'
import { createTcpNetwork, type TcpNetworkOptions } from './tcp-network.js'
import type { Network } from './types.js'

const LOCAL_PREFIX = 'local:'

/** A network that goes by the address: `local:<name>` stays inside this process, `host:port` is TCP. */
export function createNetwork(options: TcpNetworkOptions): Network {
  const local = createLocalNetwork(options)
  const tcp = createTcpNetwork(options)
  const pick = (address: string): Network => (address.startsWith(LOCAL_PREFIX) ? local : tcp)
  return {
    listen: (address, router, identity) => pick(address).listen(address, router, identity),
    connect: (address, identity, role) => pick(address).connect(address, identity, role),
  }
}
