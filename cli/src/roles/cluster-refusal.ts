/** How a role ends that the cluster does not take as one of its own: no waiting mends that. */
import { hasCode } from '@cairn/protocol'
import { ConfigError } from '../config.js'

/** What `joining` resolves with; `ConfigError` if it ends because the other side refuses this one, or this one it. */
export async function orRefused<T>(joining: Promise<T>): Promise<T> {
  try {
    return await joining
  } catch (error) {
    if (!hasCode(error, 'PeerRejected', 'NotAllowed')) throw error
    const settings = 'CAIRN_CLUSTER_SECRET, CAIRN_CLUSTER_CERT or CAIRN_METADATA'
    throw new ConfigError([`${settings}: refused by, or refusing, the metadata service: ${error.message}`])
  }
}
