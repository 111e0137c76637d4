/**
 * A cluster of an earlier version under load is replaced by this one, a process at a time: once from the version
 * before, once from the last commit of a lower feature level. No request fails, no byte is lost, and once the level is
 * raised nobody goes back.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { cairnOf, describeFsck, fsck } from '../harness/check.js'
import type { ClusterOnHosts, ClusterRole } from '../harness/cluster-hosts.js'
import { buildCommit, commitBefore, describeCommit, findNoHistory } from '../harness/earlier-build.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { createRetryingClients } from '../harness/retrying-clients.js'
import { createSeeded } from '../harness/seeded.js'
import { CAIRN } from '../harness/server.js'
import { type ClusterRunOptions, type ClusterWorld, withCluster } from './cluster-world.js'
import type { Report } from './report.js'

const MIXED_SECONDS = 60
/** Of the load before the first and after the last step. */
const STEADY_MS = 10_000
const ROLES: readonly ClusterRole[] = ['metadata', 'chunk', 'gateway']
const REFUSED_STATUS = 2
const GATEWAY = 'gateway-1'

interface Upgrade {
  /** The command of the earlier build. */
  readonly from: string
  readonly mixedMs: number
  /** Why requests were tried again so far. */
  readonly retries: string[]
}

/**
 * `npm run show -- rolling-upgrade`; CAIRN_SHOW_FROM names commits (comma list), CAIRN_SHOW_SECONDS says how long both
 * versions run side by side.
 */
export async function showRollingUpgrade(report: Report): Promise<void> {
  const reason = await findNoHistory()
  if (reason !== undefined) return report.holds('there is an earlier version', false, reason)
  const mixedMs = 1000 * Number(process.env.CAIRN_SHOW_SECONDS ?? MIXED_SECONDS)
  const commits = process.env.CAIRN_SHOW_FROM?.split(',') ?? (await predecessors())
  for (const commit of commits) {
    const folder = await temporaryFolder('earlier')
    try {
      report.step(`from ${await describeCommit(commit)}`)
      await upgradeFrom(report, await buildCommit(commit, folder), mixedMs)
    } finally {
      await removeFolder(folder)
    }
  }
}

/** The last commit of the version before, and that of the feature level before. */
async function predecessors(): Promise<string[]> {
  return [
    await commitBefore('"version":', 'package.json'),
    await commitBefore('FEATURE_LEVEL: number =', 'protocol/src/limits.ts'),
  ]
}

async function upgradeFrom(report: Report, from: string, mixedMs: number): Promise<void> {
  const retries: string[] = []
  const wrapClients: ClusterRunOptions['wrapClients'] = (clients) =>
    createRetryingClients(clients, (reason) => retries.push(reason))
  const options = { chunkServers: 3, spread: false, cairn: from, faultMs: 0, wrapClients }
  await withCluster(report, options, async (world) => {
    await upgrade(world, { from, mixedMs, retries })
    await world.load.stop()
    report.figure('requests tried again', tally(retries))
    const failed = world.load.samples.filter(({ outcome }) => outcome === 'failed').length
    report.atMost('requests that failed', failed, 0)
    const checked = await fsck(world.cluster.server(GATEWAY), '--deep', '--repair-wait')
    report.holds('fsck --deep is clean', checked.status === 0, describeFsck(checked))
  })
}

async function upgrade(world: ClusterWorld, { from, mixedMs, retries }: Upgrade): Promise<void> {
  const { report, cluster } = world
  const earlier = await levelsOf(cluster)
  await delay(STEADY_MS)
  const [first, second] = inHalves(ROLES.flatMap((role) => cluster.names(role)))
  for (const name of first) await replace(world, name, retries)
  await delay(mixedMs)
  const mixed = await levelsOf(cluster)
  report.step(`both versions side by side for ${mixedMs / 1000} s, at level ${mixed.level}`)
  const isHigher = mixed.newest > earlier.newest
  if (isHigher) await refuseRaise(world)
  for (const name of second) await replace(world, name, retries)
  if (isHigher) await raise(world, mixed.newest)
  else report.step(`both have level ${mixed.level}: there is none to raise, and nobody to refuse`)
  await delay(STEADY_MS)
  if (isHigher) for (const role of ROLES) await refuseEarlier(world, cluster.names(role).at(-1) ?? '', from)
}

/** Processes of each role in both halves, in any order. */
function inHalves(names: readonly string[]): [string[], string[]] {
  const seeded = createSeeded()
  const shuffled = names
    .map((name) => ({ name, place: seeded.fraction() }))
    .sort((a, b) => a.place - b.place)
    .map(({ name }) => name)
  const isFirst = (name: string): boolean => name.endsWith('-1')
  return [shuffled.filter(isFirst), shuffled.filter((name) => !isFirst(name))]
}

async function replace({ report, cluster }: ClusterWorld, name: string, retries: string[]): Promise<void> {
  const startedMs = performance.now()
  const before = retries.length
  await cluster.replace(name, CAIRN)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  report.figure(`${name} replaced`, `${seconds} s, tried again ${tally(retries.slice(before))}`)
}

/** `2 (503 SlowDown 1, ECONNRESET 1)`. */
function tally(reasons: readonly string[]): string {
  const counts = [...new Set(reasons)].map((reason) => {
    return `${reason} ${reasons.filter((each) => each === reason).length}`
  })
  return counts.length === 0 ? '0' : `${reasons.length} (${counts.join(', ')})`
}

/** The level of the cluster, and the highest that a member supports. */
async function levelsOf({ server }: ClusterOnHosts): Promise<{ level: number; newest: number }> {
  const { status, stdout, stderr } = await cairnOf(server(GATEWAY), 'cluster', 'feature-level', '--json')
  if (status !== 0) throw new Error(`feature-level exited ${status}: ${stderr}`)
  const { level, members } = JSON.parse(stdout.toString()) as {
    level: number
    members: readonly { readonly level: number }[]
  }
  return { level, newest: Math.max(...members.map((member) => member.level)) }
}

async function refuseRaise({ report, cluster }: ClusterWorld): Promise<void> {
  const { status, stderr } = await cairnOf(cluster.server(GATEWAY), 'cluster', 'feature-level', '--raise')
  const isRefused = status !== 0 && stderr.includes('is not supported by: ')
  report.holds('the level is not raised while both run', isRefused, `exit ${status}, ${stderr.trim()}`)
}

async function raise({ report, cluster }: ClusterWorld, target: number): Promise<void> {
  const { status, stderr } = await cairnOf(cluster.server(GATEWAY), 'cluster', 'feature-level', '--raise')
  const { level } = await levelsOf(cluster)
  report.holds(`the level is raised to ${target}`, status === 0 && level === target, `now ${level} ${stderr}`)
}

/** The earlier version is refused in place of this one, which is then put back. */
async function refuseEarlier({ report, cluster }: ClusterWorld, name: string, from: string): Promise<void> {
  const said = await cluster.replace(name, from).then(
    () => 'it started',
    (error: Error) => error.message,
  )
  const reason = said.split('\n').find((line) => line.includes('install a newer version'))
  const isRefused = said.includes(`exited ${REFUSED_STATUS} `) && reason !== undefined
  report.holds(`${name} of the earlier version is refused its start`, isRefused, reason ?? said)
  await cluster.replace(name, CAIRN)
}
