/** Methods 10 to 12: the cluster map. */
import { getClusterMap, heartbeat, type RpcRouter, registerServer } from '@cairn/protocol'
import type { ClusterState } from '../core/cluster-state.js'

export function registerClusterHandlers(router: RpcRouter, cluster: ClusterState): void {
  router.handle(getClusterMap, async ({ knownEpoch }) => {
    const map = await cluster.current()
    return { response: map.epoch === knownEpoch ? {} : { map } }
  })
  router.handle(registerServer, async (request) => ({ response: { epoch: await cluster.register(request) } }))
  router.handle(heartbeat, async (request) => ({ response: { epoch: await cluster.report(request) } }))
}
