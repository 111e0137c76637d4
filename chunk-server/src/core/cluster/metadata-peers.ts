/** Connections to the metadata services: one for each, and one that asks whichever answers. */
import {
  CairnError,
  type CallOptions,
  type HandshakeIdentity,
  hasCode,
  type Network,
  type RpcMethod,
  type RpcPeer,
  type RpcReply,
  type ServiceDirectory,
} from '@cairn/protocol'

/** One attempt, when there is another service to turn to. */
const ATTEMPT_MS = 2_000

export class MetadataPeers implements RpcPeer {
  readonly directory: ServiceDirectory
  private readonly network: Network
  private readonly identity: HandshakeIdentity
  private readonly peers = new Map<string, RpcPeer>()
  private current: string | undefined

  constructor(directory: ServiceDirectory, network: Network, identity: HandshakeIdentity) {
    this.directory = directory
    this.network = network
    this.identity = identity
  }

  /** The one at this address. */
  at(address: string): RpcPeer {
    const known = this.peers.get(address)
    if (known !== undefined) return known
    const peer = this.network.connect(address, this.identity, 'metadata')
    this.peers.set(address, peer)
    return peer
  }

  /** Asks one service after the other: for calls that change nothing. The error of the last one if none answers. */
  async call<Q, R>(method: RpcMethod<Q, R>, request: Q, options: CallOptions): Promise<RpcReply<R>> {
    if (this.directory.addresses.length === 0) await this.directory.refresh()
    let failure: unknown
    for (const address of this.inTurn()) {
      try {
        const reply = await this.at(address).call(method, request, this.limit(options))
        this.current = address
        return reply
      } catch (error) {
        if (!hasCode(error, 'ConnectionLost', 'DeadlineExceeded', 'ShuttingDown', 'Busy')) throw error
        failure = error
      }
    }
    this.directory.refresh().catch(() => undefined)
    throw failure ?? new CairnError('ConnectionLost', 'no metadata service is known')
  }

  async close(): Promise<void> {
    await Promise.all([...this.peers.values()].map((peer) => peer.close()))
    this.peers.clear()
  }

  /** Closes the connection to a service that is gone. */
  forget(address: string): void {
    const peer = this.peers.get(address)
    this.peers.delete(address)
    peer?.close().catch(() => undefined)
  }

  private inTurn(): readonly string[] {
    const { addresses } = this.directory
    const at = this.current === undefined ? 0 : Math.max(0, addresses.indexOf(this.current))
    return [...addresses.slice(at), ...addresses.slice(0, at)]
  }

  private limit(options: CallOptions): CallOptions {
    if (this.directory.addresses.length <= 1) return options
    return { ...options, deadlineMs: Math.min(options.deadlineMs, ATTEMPT_MS) }
  }
}
