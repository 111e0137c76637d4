/**
 * One of three chunk servers gets a disk whose syncs take very long, while it says that it is well: it becomes suspect,
 * alone; requests go on, and none fails; it comes back when the disk is well again, and every copy is made.
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fsck, poll, type StatusReport, statusOf } from '../harness/check.js'
import { buildShim, shimEnv } from '../harness/disk-shim.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { contentOf, sha256 } from '../harness/seeded.js'
import { type Server, startServer } from '../harness/server.js'
import { createSignedClient, type SignedClient } from '../harness/signed-client.js'
import type { Report } from './report.js'

const BUCKET = 'slow-servers'
const OBJECT_BYTES = 64 * 1024
const WRITERS = 4
const CALM_MS = 5_000
/** Of each sync of the slow disk. */
const SYNC_MS = 30_000
const SUSPECT_MS = 120_000
/** Gateways learn who is suspect with their next report, 5 s later at most. */
const KNOWN_MS = 6_000
/** A minute is the time of a server that is held for the first time. */
const BACK_MS = 240_000
const REQUEST_MS = 30_000

interface Request {
  readonly method: 'PUT' | 'GET'
  readonly beganMs: number
  readonly tookMs: number
  readonly isGood: boolean
}

/** `npm run show -- slow-servers`. */
export async function showSlowServers(report: Report): Promise<void> {
  const folder = await temporaryFolder('slow-servers')
  const slow = join(folder, 'slow')
  const dataDir = join(folder, 'data')
  const env = shimEnv({ shim: await buildShim(folder), root: join(dataDir, 'drives', '2'), slow })
  const server = await startServer({ dataDir, env })
  const load = startLoad(server)
  try {
    await load.ready
    await harm(report, { server, load, slow })
  } finally {
    await load.stop()
    await rm(slow, { force: true })
    await server.stop()
    await removeFolder(folder)
  }
}

interface Scene {
  readonly server: Server
  readonly load: Load
  readonly slow: string
}

async function harm(report: Report, { server, load, slow }: Scene): Promise<void> {
  const beganMs = performance.now()
  await new Promise((resolve) => setTimeout(resolve, CALM_MS))
  const slowMs = performance.now()
  await writeFile(slow, String(SYNC_MS))
  const found = await poll(() => statusOf(server), isAnySuspect, SUSPECT_MS)
  const foundMs = performance.now()
  const suspects = found.drives.filter(({ state }) => state === 'suspect').map(({ path }) => path)
  report.atLeast('suspect drives', suspects.length, 1)
  report.atMost('suspect drives', suspects.length, 1)
  report.holds('the slow one is suspect', suspects[0]?.endsWith('/2') === true, suspects.join(', '))
  report.timed.atMost('suspect after', (foundMs - slowMs) / 1000, 30, ' s')
  await new Promise((resolve) => setTimeout(resolve, KNOWN_MS + CALM_MS))
  const knownMs = foundMs + KNOWN_MS
  const untilMs = performance.now()
  await rm(slow)
  const back = await poll(
    () => statusOf(server),
    (status) => !isAnySuspect(status),
    BACK_MS,
  )
  report.holds('it comes back once its disk is well', !isAnySuspect(back))
  const calm = p99(load.requests, 'GET', beganMs, slowMs)
  const harmed = p99(load.requests, 'GET', slowMs, untilMs)
  report.figure('GET p99 before and while it was slow', `${calm.toFixed(1)} and ${harmed.toFixed(1)} ms`)
  report.timed.atMost('GET p99 while it was slow over before', harmed / calm, 3)
  const puts = [
    p99(load.requests, 'PUT', beganMs, slowMs),
    p99(load.requests, 'PUT', slowMs, knownMs),
    p99(load.requests, 'PUT', knownMs, untilMs),
  ]
  report.figure(
    'PUT p99 before, until gateways knew that it is suspect, and then',
    `${puts.map((each) => each.toFixed(0)).join(', ')} ms`,
  )
  await load.stop()
  report.figure('requests', load.requests.length)
  report.atMost('failed or wrong requests', load.requests.filter(({ isGood }) => !isGood).length, 0)
  const checked = await poll(
    () => fsck(server),
    ({ status }) => status === 0,
    BACK_MS,
  )
  report.atMost('blocks that lack a copy at the end', checked.report.underReplicated, 0)
}

function isAnySuspect({ drives }: StatusReport): boolean {
  return drives.some(({ state }) => state === 'suspect')
}

interface Load {
  readonly ready: Promise<void>
  readonly requests: readonly Request[]
  stop(): Promise<void>
}

/** Each writer puts an object of its own and reads an older one, again and again. */
function startLoad(server: Server): Load {
  const credentials = { accessKeyId: server.accessKey, secretAccessKey: server.secretKey }
  const client = createSignedClient(server.endpoint, credentials)
  const requests: Request[] = []
  let isOver = false
  const ready = client.send('PUT', `/${BUCKET}`).then(() => undefined)
  async function write(writer: number): Promise<void> {
    await ready
    for (let at = 0; !isOver; at++) {
      requests.push(await request(client, 'PUT', `w${writer}-${at}`))
      requests.push(await request(client, 'GET', `w${writer}-${Math.floor(at / 2)}`))
    }
  }
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer))
  return {
    ready,
    requests,
    async stop() {
      isOver = true
      await Promise.all(writers)
      client.close()
    },
  }
}

async function request(client: SignedClient, method: 'PUT' | 'GET', key: string): Promise<Request> {
  const body = contentOf(key, OBJECT_BYTES)
  const beganMs = performance.now()
  const options = method === 'PUT' ? { body, timeoutMs: REQUEST_MS } : { timeoutMs: REQUEST_MS }
  const answer = await client.send(method, `/${BUCKET}/${key}`, options).catch(() => undefined)
  const isRight = method === 'PUT' || (answer !== undefined && sha256(answer.body) === sha256(body))
  return { method, beganMs, tookMs: performance.now() - beganMs, isGood: answer?.status === 200 && isRight }
}

function p99(requests: readonly Request[], method: string, fromMs: number, toMs: number): number {
  const times = requests
    .filter((each) => each.method === method && each.beganMs >= fromMs && each.beganMs < toMs)
    .map(({ tookMs }) => tookMs)
    .sort((a, b) => a - b)
  return times[Math.floor(times.length * 0.99)] ?? 0
}
