/** A whole cluster, each process on a host of its own: three of etcd, metadata services, chunk servers, gateways. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { poll, type StatusReport } from './check.js'
import { type EtcdCluster, type EtcdMember, startEtcd } from './etcd.js'
import { removeFolder, temporaryFolder } from './folders.js'
import { type Hosts, makeHosts } from './hosts.js'
import { CAIRN, type Server, startServer } from './server.js'
import { createSignedClient, type SignedClient } from './signed-client.js'

const ETCD_MEMBERS = 3
const RACKS = 3
const S3_PORT = 9000
const CHUNK_SERVERS = 5
/** An empty cluster moves its groups in seconds, once it is out of safe mode. */
const SPREAD_MS = 120_000

/** What one of the processes is. */
export type ClusterRole = 'etcd' | 'metadata' | 'chunk' | 'gateway'

/** One process of the cluster, over all its lives. */
export interface ClusterProcess {
  /** Of the process and of its host: `chunk-3`. */
  readonly name: string
  readonly role: ClusterRole
  signal(name: NodeJS.Signals): void
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>
  /** Starts it again after a kill; resolves when it is ready. */
  restart(): Promise<void>
  /** What it said on stderr in this life. */
  log(): string
}

export interface ClusterHostsOptions {
  /** The first three hold all blocks, unless they are spread. */
  readonly chunkServers?: number
  /** Chunk servers take turns in so many; three unless given. */
  readonly racks?: number
  /** Every chunk server gets its share before the start is over; true unless given. */
  readonly spread?: boolean
  /** Of every process but etcd's. */
  readonly env?: Readonly<Record<string, string>>
  /** The command of another build, from which all but etcd start. */
  readonly cairn?: string
}

export interface ClusterOnHosts {
  readonly hosts: Hosts
  /** Where all data lies. */
  readonly folder: string
  readonly etcd: EtcdCluster
  readonly processes: readonly ClusterProcess[]
  /** A client for each gateway, in the order of their names. */
  readonly clients: readonly SignedClient[]
  process(name: string): ClusterProcess
  /** A process that is not etcd's, in the life that it has now. */
  server(name: string): Server
  /** Ends such a process as an operator does, and starts it from another build; rejects if it does not come up. */
  replace(name: string, cairn: string): Promise<void>
  /** Names of a role's processes. */
  names(role: ClusterRole): readonly string[]
  /** What `cairn status` tells, by the first gateway that answers; a drive's path has its process's name in it. */
  state(): Promise<StatusReport>
  /** Name of the metadata service that coordinates now. */
  coordinator(): Promise<string>
  /** Name of the member of etcd that leads now. */
  etcdLeader(): Promise<string>
  /** Starts one more chunk server on a host of its own; its name. */
  addChunkServer(): Promise<string>
  /** Ends all processes, and removes hosts and data. */
  stop(): Promise<void>
}

/** Starts everything; resolves when each process is ready. As root only: see `canMakeHosts`. */
export async function startClusterOnHosts(options: ClusterHostsOptions = {}): Promise<ClusterOnHosts> {
  const names = namesOf(options.chunkServers ?? CHUNK_SERVERS)
  const hosts = await makeHosts([...names.values()].flat())
  const folder = await temporaryFolder('cluster')
  const started: { stop(): Promise<unknown> }[] = []
  const processes: StartedProcess[] = []
  // A run that fails does not leave its processes behind.
  process.once('exit', () => {
    for (const each of processes) each.signal('SIGKILL')
  })
  try {
    const etcd = await startEtcd({ hosts: (names.get('etcd') ?? []).map((name) => hosts.host(name)) })
    started.push(etcd)
    const root = { accessKeyId: 'cluster-root', secretAccessKey: randomBytes(20).toString('hex') }
    const env = {
      CAIRN_ETCD: etcd.endpoints.join(','),
      CAIRN_CLUSTER_SECRET: randomBytes(32).toString('hex'),
      CAIRN_ROOT_ACCESS_KEY: root.accessKeyId,
      CAIRN_ROOT_SECRET_KEY: root.secretAccessKey,
      ...options.env,
    }
    const { cairn = CAIRN, racks = RACKS } = options
    const surroundings = { hosts, folder, env, cairn, racks }
    for (const role of ['metadata', 'chunk', 'gateway'] as const) {
      const own = (names.get(role) ?? []).map((name) => serviceProcess(name, role, surroundings))
      started.push(...own)
      processes.push(...own)
      await Promise.all(own.map((each) => each.restart()))
    }
    const clients = (names.get('gateway') ?? []).map((name) =>
      createSignedClient(`http://${hosts.host(name).address}:${S3_PORT}`, root),
    )
    const cluster = describeCluster({ surroundings, etcd, names, processes, clients })
    if (options.spread ?? true) await spread(cluster)
    return cluster
  } catch (error) {
    for (const each of started.reverse()) await each.stop()
    await hosts.close()
    await removeFolder(folder)
    throw error
  }
}

/** The pool begins with the first three drives; all are to have a share. */
async function spread({ clients: [client], state }: ClusterOnHosts): Promise<void> {
  const asked = await client?.send('POST', '/-/admin/v1/rebalance', { body: new Uint8Array() })
  if (asked?.status !== 200) throw new Error(`no rebalance: ${asked?.body.toString()}`)
  const isSpread = ({ moves, drives }: StatusReport): boolean =>
    moves.positionsLeft === 0 && drives.every(({ positions }) => positions > 0)
  const found = await poll(state, isSpread, SPREAD_MS)
  if (!isSpread(found)) throw new Error(`not spread in time: ${JSON.stringify(found)}`)
}

type Names = ReadonlyMap<ClusterRole, string[]>

function namesOf(chunkServers: number): Names {
  const numbered = (role: string, count: number): string[] =>
    Array.from({ length: count }, (_, at) => `${role}-${at + 1}`)
  return new Map<ClusterRole, string[]>([
    ['etcd', numbered('etcd', ETCD_MEMBERS)],
    ['metadata', numbered('metadata', 2)],
    ['chunk', numbered('chunk', chunkServers)],
    ['gateway', numbered('gateway', 2)],
  ])
}

interface StartedProcess extends ClusterProcess {
  server(): Server
  replace(cairn: string): Promise<void>
  stop(): Promise<void>
}

interface Surroundings {
  readonly hosts: Hosts
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly cairn: string
  readonly racks: number
}

function serviceProcess(
  name: string,
  role: 'metadata' | 'chunk' | 'gateway',
  { hosts, folder, env, cairn, racks }: Surroundings,
): StartedProcess {
  const { address, wrapper } = hosts.host(name)
  const number = Number(name.slice(name.lastIndexOf('-') + 1))
  let server: Server | undefined
  let build = cairn
  async function start(): Promise<void> {
    const dataDir = join(folder, name)
    await mkdir(dataDir, { recursive: true })
    server = await startServer({
      cairn: build,
      dataDir,
      args: ['--role', role],
      wrapper,
      env: {
        ...env,
        CAIRN_HOST: address,
        CAIRN_ADVERTISE: address,
        ...(role === 'gateway' ? { CAIRN_PORT: String(S3_PORT) } : {}),
        ...(role === 'chunk' ? { CAIRN_RACK: `rack-${number % racks}`, CAIRN_DRIVES: '1' } : {}),
      },
      ...(role === 'gateway' ? {} : { readyLine: /^Health: .*$/m }),
    })
  }
  return {
    name,
    role,
    signal: (signal) => server?.signal(signal),
    kill: async () => server?.kill(),
    restart: start,
    server() {
      if (server === undefined) throw new Error(`${name} has not been started`)
      return server
    },
    async replace(next) {
      await server?.stop()
      build = next
      await start()
    },
    log: () => server?.log() ?? '',
    async stop() {
      server?.signal('SIGCONT')
      await server?.kill()
    },
  }
}

function etcdProcess(name: string, member: EtcdMember, etcd: EtcdCluster): ClusterProcess {
  return {
    name,
    role: 'etcd',
    signal: (signal) => member.signal(signal),
    kill: () => member.kill(),
    async restart() {
      member.restart()
      await etcd.ready()
    },
    log: () => '',
  }
}

interface Parts {
  readonly surroundings: Surroundings
  readonly etcd: EtcdCluster
  readonly names: Names
  readonly processes: StartedProcess[]
  readonly clients: readonly SignedClient[]
}

function describeCluster({ surroundings, etcd, names, processes, clients }: Parts): ClusterOnHosts {
  const { hosts, folder } = surroundings
  const members = etcd.members.map((member, at) => etcdProcess(names.get('etcd')?.[at] ?? '', member, etcd))
  const all = (): ClusterProcess[] => [...members, ...processes]
  const find = <P extends ClusterProcess>(among: readonly P[], name: string): P => {
    const found = among.find((each) => each.name === name)
    if (found === undefined) throw new Error(`there is no process ${name}`)
    return found
  }
  let asked = 0
  const state = async (): Promise<StatusReport> => {
    for (const client of clients) {
      // Asked several times a second: without it two requests would be the same, and the second one refused.
      const headers = { 'x-cairn-nonce': String(++asked) }
      const answer = await client.send('GET', '/-/admin/v1/status', { headers }).catch(() => undefined)
      if (answer?.status === 200) return JSON.parse(answer.body.toString()) as StatusReport
    }
    throw new Error('no gateway tells how the cluster is')
  }
  return {
    hosts,
    folder,
    etcd,
    get processes() {
      return all()
    },
    clients,
    process: (name) => find(all(), name),
    server: (name) => find(processes, name).server(),
    replace: (name, cairn) => find(processes, name).replace(cairn),
    names: (role) => names.get(role) ?? [],
    state,
    async coordinator() {
      const { coordinator = '' } = await state()
      const found = names.get('metadata')?.find((name) => coordinator.includes(hosts.host(name).address))
      if (found === undefined) throw new Error(`no coordinator: "${coordinator}"`)
      return found
    },
    async etcdLeader() {
      const leader = await etcd.leader()
      return names.get('etcd')?.[etcd.members.indexOf(leader)] ?? ''
    },
    async addChunkServer() {
      const chunkServers = names.get('chunk') ?? []
      const name = `chunk-${chunkServers.length + 1}`
      await hosts.add(name)
      const added = serviceProcess(name, 'chunk', surroundings)
      chunkServers.push(name)
      processes.push(added)
      await added.restart()
      return name
    },
    async stop() {
      for (const client of clients) client.close()
      await Promise.all(processes.map((each) => each.stop()))
      await etcd.stop()
      await hosts.close()
      await removeFolder(folder)
    },
  }
}
