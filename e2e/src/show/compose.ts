/** `docker compose up` from nothing: a tree synced through either gateway, and again after kills. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  CONTAINER_PACKAGES,
  type ContainerEngine,
  makeBaseImages,
  startContainerEngine,
} from '../harness/container-engine.js'
import { compareTrees, hashTree, removeFolder, temporaryFolder } from '../harness/folders.js'
import { freePort } from '../harness/free-port.js'
import { makeTree } from '../harness/real-tree.js'
import { type RunResult, run, runOk } from '../harness/run.js'
import { hasTool } from '../harness/tools.js'
import { checkDashboard } from './compose-dashboard.js'
import type { Report } from './report.js'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const FILES = 500
const HEALTHY_MS = 300_000
/** From a kill to health again: the restart, and what a role waits for. */
const BACK_MS = 90_000

interface Stack {
  readonly report: Report
  readonly engine: ContainerEngine
  readonly folder: string
  readonly ports: readonly [number, number]
  compose(...args: string[]): Promise<RunResult>
}

/** `npm run show -- compose`. */
export async function showCompose(report: Report): Promise<void> {
  await ensurePackages(report)
  const folder = await temporaryFolder('compose')
  const engine = await startContainerEngine(folder)
  try {
    const stack = await prepare(report, engine, folder)
    try {
      await exercise(stack)
    } finally {
      await stack.compose('down', '--volumes', '--timeout', '20').catch(() => undefined)
    }
  } finally {
    await engine.close()
    await removeFolder(folder)
  }
}

async function ensurePackages(report: Report): Promise<void> {
  const present = await Promise.all(
    ['dockerd', 'mmdebstrap', 'docker-compose', 'etcd', 'prometheus'].map(hasTool),
  )
  if (present.every(Boolean)) return
  report.step(`installing ${CONTAINER_PACKAGES}`)
  await runOk(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', ...CONTAINER_PACKAGES.split(' ')],
    {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    },
  )
}

async function prepare(report: Report, engine: ContainerEngine, folder: string): Promise<Stack> {
  const images = {
    node: nameIn('Dockerfile', /ARG NODE_IMAGE=(\S+)/),
    etcd: nameIn('compose.yaml', /ETCD_IMAGE:-([^}]+)\}/),
    prometheus: nameIn('compose.yaml', /PROMETHEUS_IMAGE:-([^}]+)\}/),
  }
  await makeBaseImages(engine, folder, images)
  const ports = [await freePort(), await freePort()] as const
  const env = {
    ...engine.env,
    CAIRN_PORT_1: String(ports[0]),
    CAIRN_PORT_2: String(ports[1]),
    PROMETHEUS_PORT: String(await freePort()),
    COMPOSE_PROJECT_NAME: 'cairn-show',
  }
  const compose = (...args: string[]): Promise<RunResult> =>
    runOk('docker-compose', ['-f', join(ROOT, 'compose.yaml'), ...args], {
      env,
      cwd: ROOT,
      timeoutMs: 1_800_000,
    })
  report.step('building the image')
  await compose('build', 'secrets')
  return { report, engine, folder, ports, compose }
}

/** What a shipped file names by default. */
function nameIn(file: string, pattern: RegExp): string {
  return pattern.exec(readFileSync(join(ROOT, file), 'utf8'))?.[1] ?? ''
}

async function exercise(stack: Stack): Promise<void> {
  const { report, folder, compose } = stack
  const started = performance.now()
  await compose('up', '--detach')
  await compose('exec', '-T', 'gateway-1', 'cairn', 'wait', '--healthy', '--timeout', '300')
  await untilHealthy(stack, HEALTHY_MS)
  report.figure('from "docker compose up" to all healthy', (performance.now() - started) / 1000, ' s')
  const aws = await awsThrough(stack)
  const tree = join(folder, 'tree')
  await makeTree(tree, FILES)
  const expected = await hashTree(tree)
  await aws(0, 's3', 'mb', 's3://photos')
  await aws(0, 's3', 'sync', '--quiet', tree, 's3://photos/a')
  await checkTree(stack, aws, { gateway: 1, prefix: 'a', expected })
  await aws(1, 's3', 'sync', '--quiet', tree, 's3://photos/b')
  await checkTree(stack, aws, { gateway: 0, prefix: 'b', expected })
  for (const service of ['chunk-2', 'metadata-1', 'etcd-3', 'gateway-2']) await killAndReturn(stack, service)
  await checkTree(stack, aws, { gateway: 1, prefix: 'a', expected })
  const status = await compose('exec', '-T', 'gateway-1', 'cairn', 'status')
  report.step(status.stdout.toString().trim())
  await checkHardening(stack)
  await checkDashboard(report, compose)
}

type Aws = (gateway: 0 | 1, ...args: string[]) => Promise<RunResult>

/** aws-cli with the keys that `cairn env` prints inside a gateway. */
async function awsThrough({ compose, ports }: Stack): Promise<Aws> {
  const exports = (await compose('exec', '-T', 'gateway-1', 'cairn', 'env')).stdout.toString()
  const value = (name: string): string => new RegExp(`export ${name}=(\\S+)`).exec(exports)?.[1] ?? ''
  const env = {
    AWS_ACCESS_KEY_ID: value('AWS_ACCESS_KEY_ID'),
    AWS_SECRET_ACCESS_KEY: value('AWS_SECRET_ACCESS_KEY'),
    AWS_REGION: value('AWS_REGION'),
    AWS_DEFAULT_REGION: value('AWS_REGION'),
  }
  return (gateway, ...args) =>
    runOk('aws', ['--endpoint-url', `http://127.0.0.1:${ports[gateway]}`, ...args], { env })
}

async function checkTree(
  { report }: Stack,
  aws: Aws,
  { gateway, prefix, expected }: { gateway: 0 | 1; prefix: string; expected: ReadonlyMap<string, string> },
): Promise<void> {
  const down = await temporaryFolder('compose-down')
  await aws(gateway, 's3', 'sync', '--quiet', `s3://photos/${prefix}`, down)
  const differences = compareTrees(expected, await hashTree(down))
  await removeFolder(down)
  report.holds(
    `${expected.size} files of /${prefix} through gateway-${gateway + 1}`,
    differences.length === 0,
    `${differences.length} differences`,
  )
}

/** Dies by its process, so that the restart policy acts. */
async function killAndReturn(stack: Stack, service: string): Promise<void> {
  const { engine, report } = stack
  const pid = await engine.docker('inspect', '--format', '{{.State.Pid}}', await containerOf(stack, service))
  await runOk('kill', ['-9', pid])
  const started = performance.now()
  await untilHealthy(stack, BACK_MS)
  report.figure(`${service} killed, all healthy again after`, (performance.now() - started) / 1000, ' s')
}

async function containerOf({ compose }: Stack, service: string): Promise<string> {
  return (await compose('ps', '-q', service)).stdout.toString().trim()
}

async function untilHealthy(stack: Stack, timeoutMs: number): Promise<void> {
  const untilMs = performance.now() + timeoutMs
  // A container that has just died is "healthy" until its engine has noticed.
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  for (;;) {
    const sick = await unhealthyOf(stack)
    if (sick.length === 0) return
    if (performance.now() > untilMs)
      throw new Error(`not healthy: ${sick.join(', ')}${await logsOf(stack, sick)}`)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
}

async function unhealthyOf({ engine }: Stack): Promise<string[]> {
  const list = await engine.docker('ps', '--all', '--format', '{{.Names}}\t{{.Status}}')
  return list
    .split('\n')
    .filter((line) => !line.includes('(healthy)') && !line.includes('Exited (0)'))
    .map((line) => line.split('\t')[0] ?? '')
}

async function logsOf({ engine }: Stack, names: readonly string[]): Promise<string> {
  const logs = await Promise.all(
    names.map(
      async (name) => (await run('docker', ['logs', '--tail', '5', name], { env: engine.env })).stderr,
    ),
  )
  return `\n${logs.join('\n')}`
}

/** Nobody is root, no root file system can be written. */
async function checkHardening(stack: Stack): Promise<void> {
  const { engine, report } = stack
  const names = (await engine.docker('ps', '--format', '{{.Names}}')).split('\n')
  const format = '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}'
  const facts = await Promise.all(names.map((name) => engine.docker('inspect', '--format', format, name)))
  report.holds(
    'every process runs without root, capabilities and a writable root',
    facts.every((fact) => /^(cairn|10002:10002) true \[ALL\]$/.test(fact)),
    [...new Set(facts)].join('; '),
  )
}
