/** What a chunk server sees of a metadata service: it registers, beats, and asks for the cluster id. */
import {
  CairnError,
  type ClusterMap,
  computeGroups,
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
  /** What registrations fail with. */
  refusal: ((request: RegisterServerRequest) => CairnError | undefined) | undefined
  /** What the cluster map says of pools. */
  pools: { readonly id: number; readonly epoch: number }[]
  /** Drives that the map does not name although they were registered. */
  readonly unknown: Set<string>
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
    refusal: undefined,
    pools: [],
    unknown: new Set(),
    forget: () => known.clear(),
  }
  router.handle(getClusterMap, async () => ({ response: { map: mapOf(recorded) } }))
  router.handle(registerServer, async (request) => {
    recorded.registrations.push(request)
    if (recorded.refusing) throw new CairnError('Busy', 'not now')
    const refusal = recorded.refusal?.(request)
    if (refusal !== undefined) throw refusal
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

function mapOf({ pools, registrations, unknown }: RecordedMetadata): ClusterMap {
  const registered = registrations.flatMap(({ member, drives }) =>
    drives.map(({ id, capacityBytes }) => ({ id, server: member.id, capacityBytes, state: 'up' as const })),
  )
  const drives = registered.filter(({ id }) => !unknown.has(id))
  const { groups } = computeGroups({ drives: [{ id: 'd', weight: 1, domain: 'd' }], replicas: 1 })
  const rest = { replicas: 1, failureDomain: 'drive', drives: ['d'], groups } as const
  return {
    ...emptyMap,
    drives,
    pools: pools.map(({ id, epoch }) => ({ id, name: `pool ${id}`, epoch, ...rest })),
  }
}
