import type { HandshakeIdentity, Network, RpcPeer } from '@cairn/protocol'

/** Peers kept; above this the one unused for longest is closed. A server copies from a few others at a time. */
const PEERS_MAX = 32

export interface SourcePeersOptions {
  readonly network: Network
  readonly identity: HandshakeIdentity
}

interface KnownPeer {
  readonly peer: RpcPeer
  users: number
}

/** The chunk servers that blocks are copied from: one peer for each address, kept for the next copy. */
export class SourcePeers {
  private readonly options: SourcePeersOptions
  /** In order of last use. */
  private readonly peers = new Map<string, KnownPeer>()

  constructor(options: SourcePeersOptions) {
    this.options = options
  }

  /** Runs `work` with the peer at `address`. */
  async use<T>(address: string, work: (peer: RpcPeer) => Promise<T>): Promise<T> {
    const known = this.touch(address)
    known.users++
    try {
      return await work(known.peer)
    } finally {
      known.users--
      this.evict()
    }
  }

  async close(): Promise<void> {
    const peers = [...this.peers.values()]
    this.peers.clear()
    await Promise.allSettled(peers.map(({ peer }) => peer.close()))
  }

  private touch(address: string): KnownPeer {
    const { network, identity } = this.options
    const known = this.peers.get(address) ?? { peer: network.connect(address, identity, 'chunk'), users: 0 }
    this.peers.delete(address)
    this.peers.set(address, known)
    return known
  }

  private evict(): void {
    for (const [address, { peer, users }] of this.peers) {
      if (this.peers.size <= PEERS_MAX) return
      if (users > 0) continue
      this.peers.delete(address)
      peer.close().catch(() => undefined)
    }
  }
}
