import {
  CairnError,
  type Clock,
  type ClusterMap,
  type DriveId,
  getClusterMap,
  hasCode,
  METADATA_DEADLINE_MS,
  type Random,
  type RpcPeer,
} from '@cairn/protocol'

/** Pause between two attempts, on average. */
const RETRY_MS = 500
/** For how long an absent metadata service is waited for. */
const PATIENCE_MS = 30_000

/**
 * Asks the metadata service which cluster it serves: what a server without any drive yet does not know itself. After
 * half a minute the error of the last attempt is thrown; at once what no waiting mends: `PeerRejected` (another secret,
 * no trust in the certificate), `NotAllowed`, `FormatTooNew`.
 */
export async function fetchClusterId(
  metadata: RpcPeer,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<string> {
  const untilMs = clock.monotonicMs() + PATIENCE_MS
  for (;;) {
    try {
      const deadlineMs = Math.min(METADATA_DEADLINE_MS, untilMs - clock.monotonicMs())
      return (await fetchMap(metadata, deadlineMs)).clusterId
    } catch (error) {
      const pauseMs = RETRY_MS * (0.5 + random.fraction())
      const isLast = clock.monotonicMs() + pauseMs >= untilMs
      if (isLast || hasCode(error, 'PeerRejected', 'NotAllowed', 'FormatTooNew')) throw error
      await new Promise<void>((resolve) => clock.setTimer(pauseMs, resolve))
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

async function fetchMap(metadata: RpcPeer, deadlineMs: number = METADATA_DEADLINE_MS): Promise<ClusterMap> {
  const { response } = await metadata.call(getClusterMap, {}, { deadlineMs })
  if (response.map === undefined) throw new CairnError('Internal', 'the metadata service sent no cluster map')
  return response.map
}
