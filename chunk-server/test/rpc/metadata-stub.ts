/** What a chunk server sees of a metadata service: it registers, beats, and asks for the cluster id. */
import {
  CairnError,
  type ClusterMap,
  getClusterMap,
  type HeartbeatRequest,
  heartbeat,
  type RegisterServerRequest,
  type RpcRouter,
  registerServer,
} from '@cairn/protocol'

/** The requests that arrived, in order. */
export interface RecordedMetadata {
  readonly registrations: RegisterServerRequest[]
  readonly heartbeats: HeartbeatRequest[]
  /** Registrations fail with `Busy` while true. */
  refusing: boolean
  /** Heartbeats of servers not registered since are refused. */
  forget(): void
}

const emptyMap: ClusterMap = {
  clusterId: 'c1',
  incarnation: 'i1',
  featureLevel: 1,
  epoch: 1,
  members: [],
  drives: [],
  pools: [],
}

export function recordMetadata(router: RpcRouter): RecordedMetadata {
  const known = new Set<string>()
  const recorded: RecordedMetadata = {
    registrations: [],
    heartbeats: [],
    refusing: false,
    forget: () => known.clear(),
  }
  router.handle(getClusterMap, async () => ({ response: { map: emptyMap } }))
  router.handle(registerServer, async (request) => {
    recorded.registrations.push(request)
    if (recorded.refusing) throw new CairnError('Busy', 'not now')
    known.add(request.member.id)
    return { response: { epoch: 1 } }
  })
  router.handle(heartbeat, async (request) => {
    recorded.heartbeats.push(request)
    if (!known.has(request.server)) throw new CairnError('InvalidArgument', 'unknown server')
    return { response: { epoch: 1 } }
  })
  return recorded
}
