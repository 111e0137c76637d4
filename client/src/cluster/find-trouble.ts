/** Whether the cluster would serve now: what a load balancer asks of a gateway every few seconds. */
import { type ClusterStatus, getStatus, listBuckets } from '@cairn/protocol'
import type { ClusterView } from './cluster-view.js'
import type { MetadataCaller } from './metadata-caller.js'

/** States of drives that take blocks. A suspect one may, late. */
const UP = ['up', 'draining']

/** See `ConnectedClient.findTrouble`. */
export async function findTrouble({
  metadata,
  view,
}: {
  readonly metadata: MetadataCaller
  readonly view: ClusterView
}): Promise<string | undefined> {
  try {
    // The status names the silent drives, which the map does not before they count as dead.
    const [status] = await Promise.all([
      metadata.read(getStatus, { withMap: false }),
      metadata.read(listBuckets, { prefix: '', after: '', limit: 1 }),
      view.refresh(),
    ])
    const up = new Set(status.drives.filter(({ state }) => UP.includes(state)).map(({ id }) => id))
    return findStoreTrouble(status) ?? view.findWriteTrouble((drive) => up.has(drive))
  } catch (error) {
    return `metadata does not answer: ${(error as Error).message}`
  }
}

function findStoreTrouble({ storeTrouble, space = [] }: ClusterStatus): string | undefined {
  const full = space.find(({ isRefusing }) => isRefusing)
  const reason = full === undefined ? storeTrouble : `etcd ${full.member} has reached its quota`
  return reason === undefined ? undefined : `the metadata takes no writes: ${reason}`
}
