/** Each of the seven kinds of link of a cluster under load, cut both ways and either way. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ClusterOnHosts } from '../harness/cluster-hosts.js'
import { type Direction, OUTSIDE } from '../harness/hosts.js'
import { type ClusterWorld, tryFault, withCluster } from './cluster-world.js'
import type { Report } from './report.js'

const CUT_MS = 20_000
const DIRECTIONS: readonly Direction[] = ['both', 'there', 'back']

/** One host and all of the other kind that it talks to. */
interface LinkKind {
  readonly name: string
  ends(cluster: ClusterOnHosts): Promise<readonly [string, readonly string[]]>
}

const KINDS: readonly LinkKind[] = [
  { name: 'client–gateway', ends: async () => [OUTSIDE, ['gateway-1']] },
  { name: 'gateway–metadata', ends: async (cluster) => ['gateway-1', cluster.names('metadata')] },
  { name: 'gateway–chunk', ends: async () => ['gateway-1', ['chunk-1']] },
  {
    name: 'metadata–etcd',
    ends: async (cluster) => [await cluster.coordinator(), cluster.names('etcd')],
  },
  { name: 'chunk–metadata', ends: async (cluster) => ['chunk-1', cluster.names('metadata')] },
  { name: 'chunk–chunk', ends: async (cluster) => ['chunk-1', others(cluster.names('chunk'), 'chunk-1')] },
  {
    name: 'etcd–etcd',
    async ends(cluster) {
      const leader = await cluster.etcdLeader()
      return [leader, others(cluster.names('etcd'), leader)]
    },
  },
]

export interface ClusterLinksOptions {
  /** Runs on this one; on one of its own unless given. */
  readonly cluster?: ClusterOnHosts
  readonly faultMs?: number
  readonly kinds?: readonly string[]
  readonly directions?: readonly Direction[]
}

/** `npm run show -- cluster-links`; CAIRN_SHOW_CUT_MS shortens the cuts, CAIRN_SHOW_LINKS names some (comma list). */
export async function showClusterLinks(report: Report, options: ClusterLinksOptions = {}): Promise<void> {
  const faultMs = options.faultMs ?? Number(process.env.CAIRN_SHOW_CUT_MS ?? CUT_MS)
  const chosen = options.kinds ?? process.env.CAIRN_SHOW_LINKS?.split(',')
  const { cluster, directions = DIRECTIONS } = options
  await withCluster(report, { faultMs, cluster }, (world) =>
    cutAll(
      world,
      KINDS.filter(({ name }) => chosen?.includes(name) ?? true),
      directions,
    ),
  )
}

function others(names: readonly string[], name: string): string[] {
  return names.filter((each) => each !== name)
}

async function cutAll(
  world: ClusterWorld,
  kinds: readonly LinkKind[],
  directions: readonly Direction[],
): Promise<void> {
  for (const kind of kinds) for (const direction of directions) await cut(world, kind, direction)
}

async function cut(world: ClusterWorld, { name, ends }: LinkKind, direction: Direction): Promise<void> {
  const [from, to] = await ends(world.cluster)
  const ways = { both: 'both ways', there: `${from} to the others`, back: `the others to ${from}` }
  await tryFault(world, {
    name: `${name} cut, ${ways[direction]}`,
    async harm({ cluster, faultMs }) {
      await cluster.hosts.cut({ from: [from], to, direction })
      await delay(faultMs)
      await cluster.hosts.heal()
      return { endedMs: performance.now() }
    },
  })
}
