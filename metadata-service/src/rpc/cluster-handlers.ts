/** Methods 10 to 12: the cluster map. */
import { getClusterMap, heartbeat, type RpcRouter, registerServer } from '@cairn/protocol'
import type { ClusterState } from '../core/cluster-state.js'

/** `addresses` are those of the services to tell of, if there may be several. */
export function registerClusterHandlers(
  router: RpcRouter,
  cluster: ClusterState,
  addresses: () => readonly string[] | undefined,
): void {
  const services = (): { services?: readonly string[] } => {
    const known = addresses()
    return known === undefined || known.length === 0 ? {} : { services: known }
  }
  router.handle(getClusterMap, async ({ knownEpoch }) => {
    const map = await cluster.current()
    return { response: { ...(map.epoch === knownEpoch ? {} : { map }), ...services() } }
  })
  router.handle(registerServer, async (request) => ({ response: { epoch: await cluster.register(request) } }))
  router.handle(heartbeat, async (request) => {
    const epoch = await cluster.report(request)
    return { response: { epoch, ...services() } }
  })
}
