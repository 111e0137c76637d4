import { type ClusterTls, createNetwork, FEATURE_LEVEL, systemClock, systemRandom } from '@cairn/protocol'
import { createDigestThreads } from './adapters/digest-threads.js'
import { type ConnectedClient, connectCairn } from './connect.js'
import type { BlockDamage } from './parts.js'

/** What a program has to know of its cluster. */
export interface OpenOptions {
  /** `host:port` of the metadata services, at least one. */
  readonly metadata: readonly string[]
  /** The secret that the cluster's services share (`CAIRN_CLUSTER_SECRET`). */
  readonly clusterSecret: string
  /** For a cluster with mutual TLS: a certificate that names `URI:cairn:role/client`. */
  readonly tls?: ClusterTls
  /** How this program is shown among the cluster's writers. */
  readonly name?: string
  /** Called for every replica that is found corrupt or missing. Must not throw. */
  readonly onDamage?: (damage: BlockDamage) => void
}

/**
 * Connects a program to a cluster over TCP, on the system's clock and randomness. Rejects with `ConnectionLost` if no
 * metadata service answers, with `PeerRejected` for a wrong secret. `connectCairn` takes these parts from its caller.
 */
export function openCairn(options: OpenOptions): Promise<ConnectedClient> {
  const world = { clock: systemClock, random: systemRandom }
  const { tls } = options
  return connectCairn({
    ...world,
    lanes: createDigestThreads(),
    network: createNetwork(tls === undefined ? world : { ...world, tls: { current: () => tls } }),
    metadata: options.metadata,
    identity: {
      role: 'client',
      name: options.name ?? `client-${process.pid}`,
      clusterId: '',
      featureLevel: FEATURE_LEVEL,
      clusterSecret: Buffer.from(options.clusterSecret),
    },
    ...(options.onDamage === undefined ? {} : { onDamage: options.onDamage }),
  })
}
