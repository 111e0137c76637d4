import {
  CairnError,
  type Clock,
  type ClusterMap,
  type DriveId,
  getClusterMap,
  METADATA_DEADLINE_MS,
  type Random,
  type RpcPeer,
} from '@cairn/protocol'

/** Pause between two attempts, on average. */
const RETRY_MS = 500
/** Attempts before the error of the last one is thrown: half a minute of an absent metadata service. */
const ATTEMPTS_MAX = 60

/** Asks the metadata service which cluster it serves: what a server without any drive yet does not know itself. */
export async function fetchClusterId(
  metadata: RpcPeer,
  world: { readonly clock: Clock; readonly random: Random },
): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      const { response } = await metadata.call(getClusterMap, {}, { deadlineMs: METADATA_DEADLINE_MS })
      if (response.map !== undefined) return response.map.clusterId
      throw new Error('the metadata service sent no cluster map')
    } catch (error) {
      if (attempt >= ATTEMPTS_MAX) throw error
      const pauseMs = RETRY_MS * (0.5 + world.random.fraction())
      await new Promise<void>((resolve) => world.clock.setTimer(pauseMs, resolve))
    }
  }
}

/** The epochs that all pools have now. */
export async function fetchPoolEpochs(metadata: RpcPeer): Promise<ReadonlyMap<number, number>> {
  const { pools } = await fetchMap(metadata)
  return new Map(pools.map((pool) => [pool.id, pool.epoch]))
}

/** Whether the cluster has, or had, this drive. */
export async function fetchIsKnown(metadata: RpcPeer, drive: DriveId): Promise<boolean> {
  const { drives } = await fetchMap(metadata)
  return drives.some(({ id }) => id === drive)
}

async function fetchMap(metadata: RpcPeer): Promise<ClusterMap> {
  const { response } = await metadata.call(getClusterMap, {}, { deadlineMs: METADATA_DEADLINE_MS })
  if (response.map === undefined) throw new CairnError('Internal', 'the metadata service sent no cluster map')
  return response.map
}
