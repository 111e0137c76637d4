/** All roles as processes of their own, over TCP on this machine. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { EtcdCluster } from './etcd.js'
import { freeLowPort } from './free-port.js'
import { type Server, startServer } from './server.js'

export interface ClusterOptions {
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
  readonly chunkServers: number
  readonly gateways: number
  /** With it the metadata lies in etcd, below a prefix of its own, and everybody finds the others through it. */
  readonly etcd?: EtcdCluster
  /** How many metadata services share it; one unless given. */
  readonly metadataServices?: number
}

/** A metadata or chunk process. */
export interface ServiceProcess extends Server {
  /** Where health and metrics are. */
  readonly httpEndpoint: string
  readonly rpcAddress: string
  again(env?: Readonly<Record<string, string>>): Promise<ServiceProcess>
}

export interface Cluster {
  readonly clusterSecret: string
  /** The first of `metadataServices`. */
  readonly metadata: ServiceProcess
  readonly metadataServices: readonly ServiceProcess[]
  readonly chunkServers: readonly ServiceProcess[]
  readonly gateways: readonly Server[]
  /** Starts one more chunk server with one drive. */
  addChunkServer(): Promise<ServiceProcess>
  /** Ends all processes with this signal at once and starts them again, where they were; etcd stays. */
  restart(signal: NodeJS.Signals): Promise<void>
  stop(): Promise<void>
}

const READY = /^Health: .*$/m

/** Starts all at once; if one fails the others are ended. */
async function startAll<S extends Server>(starts: readonly Promise<S>[]): Promise<S[]> {
  const settled = await Promise.allSettled(starts)
  const failed = settled.find((one) => one.status === 'rejected')
  const started = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (failed === undefined) return started
  await Promise.all(started.map((server) => server.kill()))
  throw failed.reason
}

async function startService(
  role: string,
  name: string,
  options: ClusterOptions,
  env: Record<string, string>,
): Promise<ServiceProcess> {
  // Ports below the ephemeral ones are free again when it comes back to them.
  const server = await startServer({
    dataDir: join(options.folder, name),
    args: ['--role', role],
    readyLine: READY,
    env: { ...options.env, CAIRN_RPC_PORT: String(await freeLowPort()), CAIRN_HTTP_PORT: '0', ...env },
  })
  return describeService(server)
}

function describeService(server: Server): ServiceProcess {
  const httpEndpoint = /^Health: (.*?)\/-\/health/m.exec(server.output())?.[1] ?? ''
  const rpcAddress = /^RPC: (.*)$/m.exec(server.output())?.[1] ?? ''
  const { port } = new URL(`tcp://${rpcAddress}`)
  return {
    ...server,
    httpEndpoint,
    rpcAddress,
    again: async (env = {}) => describeService(await server.again({ CAIRN_RPC_PORT: port, ...env })),
  }
}

async function restartAll<S extends Server>(servers: S[], again: (server: S) => Promise<S>): Promise<void> {
  servers.splice(0, servers.length, ...(await startAll(servers.map(again))))
}

/** What everybody is told, and how the services are found. */
interface Meeting {
  readonly metadata: ServiceProcess[]
  readonly shared: Readonly<Record<string, string>>
}

async function startMetadata(options: ClusterOptions, secret: Record<string, string>): Promise<Meeting> {
  if (options.etcd === undefined) {
    const metadata = await startService('metadata', 'metadata', options, secret)
    return { metadata: [metadata], shared: { ...secret, CAIRN_METADATA: metadata.rpcAddress } }
  }
  const prefix = `/e2e/${randomBytes(6).toString('hex')}/`
  const shared = { ...secret, CAIRN_ETCD: options.etcd.endpoints.join(','), CAIRN_ETCD_PREFIX: prefix }
  const metadata = await startAll(
    Array.from({ length: options.metadataServices ?? 1 }, (_, at) =>
      startService('metadata', `metadata-${at + 1}`, options, shared),
    ),
  )
  return { metadata, shared }
}

function startGateways(options: ClusterOptions, shared: Readonly<Record<string, string>>): Promise<Server[]> {
  const root = {
    CAIRN_ROOT_ACCESS_KEY: 'cluster-root',
    CAIRN_ROOT_SECRET_KEY: randomBytes(20).toString('hex'),
  }
  return startAll(
    Array.from({ length: options.gateways }, async (_, at) =>
      startServer({
        dataDir: join(options.folder, `gateway-${at + 1}`),
        args: ['--role', 'gateway'],
        env: { CAIRN_PORT: String(await freeLowPort()), ...options.env, ...shared, ...root },
      }),
    ),
  )
}

/** Starts metadata services, chunk servers with one drive each, and gateways that share the root account. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const secret = { CAIRN_CLUSTER_SECRET: randomBytes(32).toString('hex') }
  const { metadata, shared } = await startMetadata(options, secret)
  const chunkServers: ServiceProcess[] = []
  const gateways: Server[] = []
  const startChunkServer = (at: number): Promise<ServiceProcess> =>
    startService('chunk', `chunk-${at}`, options, { ...shared, CAIRN_DRIVES: '1' })
  const cluster: Cluster = {
    clusterSecret: secret.CAIRN_CLUSTER_SECRET,
    get metadata() {
      const [first] = metadata
      if (first === undefined) throw new Error('a cluster needs a metadata service')
      return first
    },
    metadataServices: metadata,
    chunkServers,
    gateways,
    async addChunkServer() {
      const server = await startChunkServer(chunkServers.length + 1)
      chunkServers.push(server)
      return server
    },
    async restart(signal) {
      const all = [...gateways, ...chunkServers, ...metadata]
      for (const server of all) server.signal(signal)
      await Promise.all(all.map((server) => server.exited))
      for (const servers of [metadata, chunkServers]) await restartAll(servers, (server) => server.again())
      await restartAll(gateways, (server) => server.again())
    },
    async stop() {
      for (const servers of [gateways, chunkServers, metadata]) {
        await Promise.all(servers.map((server) => server.stop()))
      }
    },
  }
  const ats = Array.from({ length: options.chunkServers }, (_, at) => at + 1)
  try {
    chunkServers.push(...(await startAll(ats.map(startChunkServer))))
    gateways.push(...(await startGateways(options, shared)))
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}
