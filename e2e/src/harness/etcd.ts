/**
 * Real members of etcd, each a process with a folder and ports of its own. `CAIRN_ETCD_BIN` names another binary than
 * the one on PATH. Data lies below TMPDIR, which must not be a tmpfs where durability is tested.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeFolder, temporaryFolder } from './folders.js'
import { freeLowPort } from './free-port.js'
import type { Host } from './hosts.js'
import { runOk } from './run.js'
import { hasTool } from './tools.js'

const BINARY = process.env.CAIRN_ETCD_BIN ?? 'etcd'
const READY_TIMEOUT_MS = 60_000
const POLL_MS = 20
/** Clients, peers, metrics: of a member with a host of its own. */
const HOST_PORTS = [2379, 2380, 2381] as const

/** Paths of PEM files. */
export interface EtcdCertificates {
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
}

export interface EtcdOptions {
  /** One member unless given. */
  readonly members?: number
  /** A host for each member, in place of ports of this one. */
  readonly hosts?: readonly Host[]
  /** For members and clients alike, which then must show one of the same authority. */
  readonly certificates?: EtcdCertificates
  /** Further flags of every member, for example `--quota-backend-bytes=…`. */
  readonly flags?: readonly string[]
}

export interface EtcdMember {
  /** `host:port` for clients. */
  readonly endpoint: string
  readonly pid: number
  signal(name: NodeJS.Signals): void
  /** SIGSTOP, then waits until no thread of it runs: one goes on for some milliseconds. */
  pause(): Promise<void>
  /** SIGCONT, which does nothing to a member that runs. */
  resume(): void
  /** SIGKILL, then waits for the end. */
  kill(): Promise<void>
  /** Starts again on the same data and ports; resolves when the process runs. */
  restart(): void
  /** Samples of the metrics page by name, with labels. */
  metrics(): Promise<Map<string, number>>
}

export interface EtcdCluster {
  readonly members: readonly EtcdMember[]
  readonly endpoints: readonly string[]
  /** Resolves when every member answers and there is a leader. */
  ready(): Promise<void>
  leader(): Promise<EtcdMember>
  /** Runs etcdctl; its stdout. */
  control(...args: string[]): Promise<string>
  /** Ends all members and removes their data. */
  stop(): Promise<void>
}

/** Whether there is a binary to start. */
export function hasEtcd(): Promise<boolean> {
  return hasTool(BINARY)
}

/** Starts the members of a new cluster and waits until they serve. */
export async function startEtcd(options: EtcdOptions = {}): Promise<EtcdCluster> {
  const folder = await temporaryFolder('etcd')
  const places = await Promise.all(
    Array.from({ length: options.hosts?.length ?? options.members ?? 1 }, (_, at) =>
      choosePlace(folder, `member-${at + 1}`, options.hosts?.[at]),
    ),
  )
  const initialCluster = places.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',')
  const members = places.map((place) => startMember(place, options, initialCluster))
  const cluster = describeCluster(members, options, folder)
  try {
    await cluster.ready()
    return cluster
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

interface Place {
  readonly name: string
  readonly wrapper: readonly string[]
  readonly folder: string
  readonly endpoint: string
  readonly peerUrl: string
  readonly metricsUrl: string
}

async function choosePlace(parent: string, name: string, host: Host | undefined): Promise<Place> {
  const folder = join(parent, name)
  await mkdir(folder, { mode: 0o700 })
  const address = host?.address ?? '127.0.0.1'
  const [clientPort, peerPort, metricsPort] =
    host === undefined ? [await freeLowPort(), await freeLowPort(), await freeLowPort()] : HOST_PORTS
  return {
    name,
    folder,
    wrapper: host?.wrapper ?? [],
    endpoint: `${address}:${clientPort}`,
    peerUrl: `http://${address}:${peerPort}`,
    metricsUrl: `http://${address}:${metricsPort}`,
  }
}

function flagsOf(place: Place, { certificates, flags = [] }: EtcdOptions, initialCluster: string): string[] {
  const clientUrl = `${certificates === undefined ? 'http' : 'https'}://${place.endpoint}`
  const plain = [
    `--name=${place.name}`,
    `--data-dir=${place.folder}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${place.peerUrl}`,
    `--initial-advertise-peer-urls=${place.peerUrl}`,
    `--listen-metrics-urls=${place.metricsUrl}`,
    `--initial-cluster=${initialCluster}`,
    '--logger=zap',
    '--log-level=error',
  ]
  if (certificates === undefined) return [...plain, ...flags]
  const { caFile, certFile, keyFile } = certificates
  const secure = [`--trusted-ca-file=${caFile}`, `--cert-file=${certFile}`, `--key-file=${keyFile}`]
  return [...plain, ...secure, '--client-cert-auth', ...flags]
}

/** A run that fails does not leave its members behind. */
const RUNNING = new Set<ChildProcess>()
process.on('exit', () => {
  for (const member of RUNNING) member.kill('SIGKILL')
})

interface RunningMember extends EtcdMember {
  isHealthy(): Promise<boolean>
  said(): string
}

function startMember(place: Place, options: EtcdOptions, initialCluster: string): RunningMember {
  let child: ChildProcess
  let ended: Promise<void>
  let said = ''

  function restart(): void {
    const env = { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch }
    const flags = flagsOf(place, options, initialCluster)
    const [command = BINARY, ...args] = [...place.wrapper, BINARY, ...flags]
    const started = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    RUNNING.add(started)
    child = started
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-20_000)
    })
    ended = new Promise((resolve) => {
      started.on('close', () => {
        RUNNING.delete(started)
        resolve()
      })
    })
  }

  async function page(path: string): Promise<string> {
    const response = await fetch(`${place.metricsUrl}${path}`, { signal: AbortSignal.timeout(2_000) })
    return response.text()
  }

  restart()
  return {
    endpoint: place.endpoint,
    get pid() {
      return child.pid ?? 0
    },
    signal: (name) => void child.kill(name),
    async pause() {
      child.kill('SIGSTOP')
      while (!(await isStopped(child.pid))) await new Promise((resolve) => setTimeout(resolve, 1))
    },
    resume: () => void child.kill('SIGCONT'),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    restart,
    metrics: async () => readSamples(await page('/metrics')),
    isHealthy: async () => (await page('/health').catch(() => '')).includes('"true"'),
    said: () => said,
  }
}

/** Whether all threads of a process are stopped. Source: proc(5), `/proc/PID/task/TID/stat`. */
async function isStopped(pid: number | undefined): Promise<boolean> {
  const folder = `/proc/${pid}/task`
  for (const thread of await readdir(folder)) {
    const stat = await readFile(join(folder, thread, 'stat'), 'latin1').catch(() => 'ended')
    if (stat[stat.lastIndexOf(')') + 2] !== 'T') return false
  }
  return true
}

function describeCluster(
  members: readonly RunningMember[],
  { certificates }: EtcdOptions,
  folder: string,
): EtcdCluster {
  const endpoints = members.map(({ endpoint }) => endpoint)
  async function ready(): Promise<void> {
    const until = performance.now() + READY_TIMEOUT_MS
    for (const member of members) {
      while (!(await member.isHealthy())) {
        if (performance.now() > until) throw new Error(`etcd is not ready: ${member.said()}`)
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    }
  }
  return {
    members,
    endpoints,
    ready,
    async leader() {
      for (;;) {
        for (const member of members) {
          const samples = await member.metrics().catch(() => undefined)
          if (samples?.get('etcd_server_is_leader') === 1) return member
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    },
    async control(...args) {
      const secure =
        certificates === undefined
          ? []
          : [
              `--cacert=${certificates.caFile}`,
              `--cert=${certificates.certFile}`,
              `--key=${certificates.keyFile}`,
            ]
      const all = [`--endpoints=${endpoints.join(',')}`, ...secure, ...args]
      return (await runOk('etcdctl', all, { env: { ETCDCTL_API: '3' } })).stdout.toString()
    },
    async stop() {
      await Promise.all(members.map((member) => member.kill()))
      await removeFolder(folder)
    },
  }
}

function readSamples(page: string): Map<string, number> {
  const samples = new Map<string, number>()
  for (const line of page.split('\n')) {
    const at = line.lastIndexOf(' ')
    if (at > 0 && !line.startsWith('#')) samples.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return samples
}
