/** All roles as processes of their own, over TCP on this machine. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type Server, startServer } from './server.js'

export interface ClusterOptions {
  readonly folder: string
  readonly env?: Readonly<Record<string, string>>
  readonly chunkServers: number
  readonly gateways: number
}

/** A metadata or chunk process. */
export interface ServiceProcess extends Server {
  /** Where health and metrics are. */
  readonly httpEndpoint: string
  readonly rpcAddress: string
}

export interface Cluster {
  readonly clusterSecret: string
  readonly metadata: ServiceProcess
  readonly chunkServers: readonly ServiceProcess[]
  readonly gateways: readonly Server[]
  /** Starts one more chunk server with one drive. */
  addChunkServer(): Promise<ServiceProcess>
  stop(): Promise<void>
}

const READY = /^Health: .*$/m

async function startService(
  role: string,
  name: string,
  options: ClusterOptions,
  env: Record<string, string>,
): Promise<ServiceProcess> {
  const server = await startServer({
    dataDir: join(options.folder, name),
    args: ['--role', role],
    readyLine: READY,
    env: { ...options.env, CAIRN_RPC_PORT: '0', CAIRN_HTTP_PORT: '0', ...env },
  })
  const httpEndpoint = /^Health: (.*?)\/-\/health/m.exec(server.output())?.[1] ?? ''
  const rpcAddress = /^RPC: (.*)$/m.exec(server.output())?.[1] ?? ''
  return { ...server, httpEndpoint, rpcAddress }
}

/** Starts one metadata service, chunk servers with one drive each, and gateways that share the root account. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const secret = { CAIRN_CLUSTER_SECRET: randomBytes(32).toString('hex') }
  const metadata = await startService('metadata', 'metadata', options, secret)
  const shared = { ...secret, CAIRN_METADATA: metadata.rpcAddress }
  const chunkServers: ServiceProcess[] = []
  const addChunkServer = async (): Promise<ServiceProcess> => {
    const name = `chunk-${chunkServers.length + 1}`
    const server = await startService('chunk', name, options, { ...shared, CAIRN_DRIVES: '1' })
    chunkServers.push(server)
    return server
  }
  for (let index = 1; index <= options.chunkServers; index++) await addChunkServer()
  const root = {
    CAIRN_ROOT_ACCESS_KEY: 'cluster-root',
    CAIRN_ROOT_SECRET_KEY: randomBytes(20).toString('hex'),
  }
  const gateways: Server[] = []
  for (let index = 1; index <= options.gateways; index++) {
    const env = { ...options.env, ...shared, ...root }
    gateways.push(
      await startServer({
        dataDir: join(options.folder, `gateway-${index}`),
        args: ['--role', 'gateway'],
        env,
      }),
    )
  }
  return {
    clusterSecret: secret.CAIRN_CLUSTER_SECRET,
    metadata,
    chunkServers,
    gateways,
    addChunkServer,
    async stop() {
      for (const server of [...gateways, ...chunkServers, metadata]) await server.stop()
    },
  }
}
