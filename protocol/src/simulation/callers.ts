import type { Role } from '../messages/callers.js'
import type { HandshakeIdentity, Network, RpcPeer } from '../rpc/types.js'

/** A peer of a server for tests: makes each call in a role that may make it, the identity's own if that may. */
export function connectAsCaller(
  network: Network,
  address: string,
  identity: HandshakeIdentity,
  server: Role,
): RpcPeer {
  const peers = new Map<string, RpcPeer>()
  const peerOf = (role: string): RpcPeer => {
    const peer = peers.get(role) ?? network.connect(address, { ...identity, role }, server)
    peers.set(role, peer)
    return peer
  }
  return {
    call(method, request, options) {
      const allowed = method.callers.includes(identity.role as Role)
      return peerOf(allowed ? identity.role : (method.callers[0] ?? '')).call(method, request, options)
    },
    async close() {
      for (const peer of peers.values()) await peer.close()
    },
  }
}
