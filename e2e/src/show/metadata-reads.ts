/**
 * What answering from the mirror is worth: HEAD, GET and LIST of small objects through a gateway, with
 * `CAIRN_METADATA_READS=mirror` and with `etcd`, in turns on the same three members; then what the mirror costs, the
 * start of a metadata service whose data folder is empty.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { findFigures, runBench } from '../harness/bench-tool.js'
import { poll } from '../harness/check.js'
import { type Cluster, type ServiceProcess, startCluster } from '../harness/cluster.js'
import { type EtcdCluster, startEtcd } from '../harness/etcd.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { pssBytes, readMetrics } from '../harness/server.js'
import type { Report } from './report.js'

const OBJECTS = 100_000
const MEMBERS = 3
/** Each of mirror, etcd, etcd, mirror. */
const ROUNDS = 4
const COPIES = 3
/** The default first. */
const READS = ['mirror', 'etcd'] as const
/** What the throughput with the default may lack of the other, so that noise is no failure. */
const SHARE_MIN = 0.9
const FILLED_MS = 600_000

type Clusters = Readonly<Record<(typeof READS)[number], Cluster>>

/** `npm run show -- metadata-reads`; CAIRN_SHOW_OBJECTS makes the bucket smaller or larger. */
export async function showMetadataReads(report: Report): Promise<void> {
  const objects = Number(process.env.CAIRN_SHOW_OBJECTS ?? OBJECTS)
  const folder = await temporaryFolder('metadata-reads')
  const etcd = await startEtcd({ members: MEMBERS, flags: ['--quota-backend-bytes=8589934592'] })
  const started: Cluster[] = []
  try {
    const start = async (reads: string): Promise<Cluster> => {
      const options = { chunkServers: COPIES, gateways: 1, etcd, env: { CAIRN_METADATA_READS: reads } }
      const cluster = await startCluster({ ...options, folder: join(folder, reads) })
      started.push(cluster)
      return cluster
    }
    const clusters: Clusters = { mirror: await start('mirror'), etcd: await start('etcd') }
    await compareReads(report, clusters, { etcd, objects })
    for (const reads of READS)
      await startCold(report, clusters[reads].metadata, join(folder, `cold-${reads}`))
  } finally {
    for (const cluster of started) await cluster.stop()
    await etcd.stop()
    await removeFolder(folder)
  }
}

interface Shape {
  readonly etcd: EtcdCluster
  readonly objects: number
}

async function compareReads(report: Report, clusters: Clusters, { etcd, objects }: Shape): Promise<void> {
  const targets = READS.flatMap((reads) => ['--target', targetOf(reads, clusters[reads], etcd)])
  const workloads = { HEAD: 'STAT', GET: 'GET 4 KiB', LIST: `LIST of ${objects}` }
  const only = ['STAT, 64', 'GET 4 KiB, 64', workloads.LIST].flatMap((name) => ['--only', name])
  const shape = ['--quick', '--rounds', String(ROUNDS), '--list-keys', String(objects)]
  const result = await runBench([...targets, ...shape, ...only], report.step)
  for (const [name, workload] of Object.entries(workloads)) {
    const [mirror, direct] = READS.map((target) => findFigures(result, { workload, target }).perSecond)
    report.timed.atLeast(`${name} per s with the mirror, of that without`, ratio(mirror, direct), SHARE_MIN)
  }
}

function ratio(over: number | undefined, under: number | undefined): number {
  return (over ?? 0) / (under ?? 0)
}

function targetOf(name: string, { gateways: [gateway], metadata }: Cluster, etcd: EtcdCluster): string {
  if (gateway === undefined) throw new Error('there is no gateway')
  const pids = [
    `gateway:${gateway.pid}`,
    `metadata:${metadata.pid}`,
    ...etcd.members.map(({ pid }) => `etcd:${pid}`),
  ]
  return [
    `name=${name}`,
    `endpoint=${gateway.endpoint}`,
    `access-key=${gateway.accessKey}`,
    `secret-key=${gateway.secretKey}`,
    `pids=${pids.join('+')}`,
  ].join()
}

/** Starts a service in place of this one, in a new data folder. */
async function startCold(report: Report, service: ServiceProcess, dataDir: string): Promise<void> {
  await service.stop()
  await mkdir(dataDir)
  const startedMs = performance.now()
  const cold = await service.again({ CAIRN_DATA_DIR: dataDir })
  try {
    report.figure('cold start until ready', cold.readyMs / 1000, ' s')
    const metrics = (): Promise<Map<string, number>> => readMetrics({ endpoint: cold.httpEndpoint })
    const isFollowing = (samples: Map<string, number>): boolean =>
      samples.get('cairn_mirror_state{state="following"}') !== 0
    const samples = await poll(metrics, isFollowing, FILLED_MS)
    const rows = samples.get('cairn_mirror_rows')
    if (rows !== undefined) {
      report.figure(
        `  until the mirror of ${rows} rows answers`,
        (performance.now() - startedMs) / 1000,
        ' s',
      )
    }
    report.figure('  memory then', (await pssBytes(cold.pid)) / 1e6, ' MB')
  } finally {
    await cold.stop()
  }
}
