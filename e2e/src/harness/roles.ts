/**
 * Whatever is examined through S3 is started here, so that one switch runs it on each size of the system:
 * `CAIRN_E2E_ROLES` unset, all roles in one process; `apart`, a process for each role over TCP; `cluster`, the same
 * with two metadata services on etcd.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Cluster, startCluster } from './cluster.js'
import { type EtcdCluster, startEtcd } from './etcd.js'
import { diskBytes } from './folders.js'
import { freeLowPort } from './free-port.js'
import { readMetrics, type Server, startServer } from './server.js'

const CHUNK_SERVERS = 3
const METADATA_SERVICES = 2

type RolesLayout = 'all' | 'apart' | 'cluster'

interface RolesOptions {
  /** For the data folders of all processes. */
  readonly folder: string
  /** Settings of every process. */
  readonly env?: Readonly<Record<string, string>>
}

/** A running system of some layout. */
export interface RunningRoles {
  /** Whom clients speak to: the only process, or the gateway. Another one after a restart, at the same endpoint. */
  readonly server: Server
  /** Ends every process with this signal at once and starts it again; etcd stays. */
  restart(signal: NodeJS.Signals): Promise<void>
  /** Blocks on all drives, by their servers' metrics. */
  countBlocks(): Promise<number>
  /** Bytes that all drives occupy on disk: by blocks, and by everything. */
  measureDrives(): Promise<{ readonly blockBytes: number; readonly allBytes: number }>
  stop(): Promise<void>
}

/** What `CAIRN_E2E_ROLES` says. */
export function rolesLayout(): RolesLayout {
  const layout = process.env.CAIRN_E2E_ROLES ?? 'all'
  if (layout === 'all' || layout === 'apart' || layout === 'cluster') return layout
  throw new Error(`CAIRN_E2E_ROLES: must be apart or cluster, not "${layout}"`)
}

/** Starts the layout that `CAIRN_E2E_ROLES` says. */
export function startRoles(options: RolesOptions): Promise<RunningRoles> {
  return rolesLayout() === 'all' ? startTogether(options) : startApart(options)
}

async function startTogether({ folder, env = {} }: RolesOptions): Promise<RunningRoles> {
  const dataDir = join(folder, 'data')
  let server = await startServer({ dataDir, env: { CAIRN_PORT: String(await freeLowPort()), ...env } })
  return {
    get server() {
      return server
    },
    async restart(signal) {
      server.signal(signal)
      await server.exited
      server = await server.again()
    },
    countBlocks: () => countBlocks([server]),
    measureDrives: () => measureDrives([dataDir]),
    stop: async () => void (await server.stop()),
  }
}

async function startApart(options: RolesOptions): Promise<RunningRoles> {
  const { cluster, stop } = await startRolesCluster(options)
  return {
    get server() {
      const [gateway] = cluster.gateways
      if (gateway === undefined) throw new Error('the cluster has no gateway')
      return gateway
    },
    restart: (signal) => cluster.restart(signal),
    countBlocks: () =>
      countBlocks(cluster.chunkServers.map(({ httpEndpoint }) => ({ endpoint: httpEndpoint }))),
    measureDrives: () => measureDrives(cluster.chunkServers.map(({ dataDir }) => dataDir)),
    stop,
  }
}

export interface RolesCluster {
  readonly cluster: Cluster
  /** Where the metadata lies in etcd. */
  readonly etcd?: EtcdCluster
  /** Ends all processes, and etcd with them. */
  stop(): Promise<void>
}

/** Three chunk servers and a gateway, with one metadata service, or with two on etcd where the layout is `cluster`. */
export async function startRolesCluster(options: RolesOptions): Promise<RolesCluster> {
  const etcd = rolesLayout() === 'cluster' ? await startEtcd() : undefined
  const onEtcd = etcd === undefined ? {} : { etcd, metadataServices: METADATA_SERVICES }
  try {
    const cluster = await startCluster({ ...options, chunkServers: CHUNK_SERVERS, gateways: 1, ...onEtcd })
    return { cluster, ...(etcd === undefined ? {} : { etcd }), stop: () => stopBoth(cluster, etcd) }
  } catch (error) {
    await etcd?.stop()
    throw error
  }
}

async function stopBoth(cluster: Cluster, etcd: EtcdCluster | undefined): Promise<void> {
  await cluster.stop()
  await etcd?.stop()
}

async function countBlocks(servers: readonly Pick<Server, 'endpoint'>[]): Promise<number> {
  let blocks = 0
  for (const server of servers) {
    for (const [name, value] of await readMetrics(server)) {
      if (name.startsWith('cairn_drive_blocks{')) blocks += value
    }
  }
  return blocks
}

async function measureDrives(
  dataDirs: readonly string[],
): Promise<{ readonly blockBytes: number; readonly allBytes: number }> {
  let [blockBytes, allBytes] = [0, 0]
  for (const dataDir of dataDirs) {
    const drives = join(dataDir, 'drives')
    for (const drive of await readdir(drives)) blockBytes += await diskBytes(join(drives, drive, 'segments'))
    allBytes += await diskBytes(drives)
  }
  return { blockBytes, allBytes }
}
