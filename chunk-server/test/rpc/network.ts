/** The in-process network, with a switch that cuts everyone off. */
import {
  CairnError,
  type Clock,
  createLocalNetwork,
  type HandshakeIdentity,
  type Network,
  type Random,
} from '@cairn/protocol'

export interface TestNetwork extends Network {
  /** While true every call fails with `ConnectionLost`. */
  broken: boolean
}

export const identity: HandshakeIdentity = {
  role: 'chunk',
  name: 'test',
  clusterId: 'c1',
  featureLevel: 1,
  clusterSecret: Buffer.alloc(32, 1),
}

export function createTestNetwork(clock: Clock, random: Random): TestNetwork {
  const inner = createLocalNetwork({ clock, random })
  const network: TestNetwork = {
    broken: false,
    listen: (address, router, own) => inner.listen(address, router, own),
    connect(address, own, role) {
      const peer = inner.connect(address, own, role)
      return {
        async call(method, request, options) {
          if (network.broken) throw new CairnError('ConnectionLost', 'nobody answers')
          return await peer.call(method, request, options)
        },
        close: () => peer.close(),
      }
    },
  }
  return network
}
