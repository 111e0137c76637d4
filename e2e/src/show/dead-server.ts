/**
 * A chunk server of a cluster under load dies and stays dead: its blocks are whole again elsewhere without a hand,
 * and the foreground hardly notices while repair writes a good part of what the disk can.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { poll, type StatusReport } from '../harness/check.js'
import type { ClusterOnHosts } from '../harness/cluster-hosts.js'
import { probeDisk } from '../harness/disk-probe.js'
import { contentOf, sha256 } from '../harness/seeded.js'
import { type ClusterWorld, readWaits, storeWaits, type Waits, withCluster } from './cluster-world.js'
import type { Report } from './report.js'

const BUCKET = 'dead-server'
const OBJECT_BYTES = 8 * 1024 * 1024
const OBJECTS = 150
const DEAD_SECONDS = 10
const DEAD_MS = 60_000
const REPAIR_MS = 600_000
const BASELINE_MS = 15_000
const BASELINE_OF_SAMPLE_MS = 1_000
const PUT_TRIES = 5
const PUT_MS = 60_000
const VICTIM = 'chunk-1'

export interface DeadServerOptions {
  /** Runs on this one, in which `DEAD_ENV` holds and the victim has a successor; on one of its own unless given. */
  readonly cluster?: ClusterOnHosts
  readonly objects?: number
}

/** What makes servers count as dead soon. */
export const DEAD_ENV: Readonly<Record<string, string>> = {
  CAIRN_SUSPECT_SECONDS: '3',
  CAIRN_DEAD_SECONDS: String(DEAD_SECONDS),
}

/** `npm run show -- dead-server`; CAIRN_SHOW_OBJECTS is the number of objects of 8 MiB. */
export async function showDeadServer(report: Report, options: DeadServerOptions = {}): Promise<void> {
  const { cluster, objects = Number(process.env.CAIRN_SHOW_OBJECTS ?? OBJECTS) } = options
  await withCluster(report, { cluster, chunkServers: 6, env: DEAD_ENV, faultMs: 0 }, async (world) => {
    const hashes = await fill(world, objects)
    await poll(() => world.cluster.state(), isSettled, REPAIR_MS)
    await repairOf(world)
    report.atMost('objects with wrong bytes', await countWrong(world, hashes), 0)
  })
}

function isSettled({ safeMode, repair }: StatusReport): boolean {
  return !safeMode && repair.underReplicated === 0 && repair.dirtyGroups === 0
}

/** Whether the server that died has no place any more, and nothing lacks a copy. */
function isWhole(state: StatusReport): boolean {
  const left = state.drives.filter(({ path, positions }) => path.includes(`/${VICTIM}/`) && positions > 0)
  return left.length === 0 && isSettled(state)
}

async function repairOf({ report, cluster, load }: ClusterWorld): Promise<void> {
  const probe = await probeDisk(cluster.folder)
  const calmFromMs = performance.now()
  await delay(report.timed.isHeld ? BASELINE_MS : BASELINE_OF_SAMPLE_MS)
  const killedMs = performance.now()
  const before = (await cluster.state()).repair.bytesRepaired
  await cluster.process(VICTIM).kill()
  const repaired = async (): Promise<number> => (await cluster.state()).repair.bytesRepaired - before
  await poll(repaired, (bytes) => bytes > 0, DEAD_MS)
  const begunMs = performance.now()
  const first = await repaired()
  report.figure('repair began after', (begunMs - killedMs) / 1000, ' s')
  let last = { bytes: first, atMs: begunMs }
  const state = await poll(
    () => cluster.state(),
    (now) => {
      const bytes = now.repair.bytesRepaired - before
      if (bytes > last.bytes) last = { bytes, atMs: performance.now() }
      return isWhole(now)
    },
    REPAIR_MS,
  )
  const endedMs = performance.now()
  report.holds(
    'all blocks of the dead server are whole elsewhere',
    isWhole(state),
    JSON.stringify(state.repair),
  )
  report.figure('all whole after', (endedMs - killedMs) / 1000, ' s')
  // From the first to the last byte that repair writes.
  const rate = ((last.bytes - first) * 1000) / Math.max(1, last.atMs - begunMs)
  report.figure('repair writes', rate / 1e6, ' MB/s')
  report.figure('disk probe: synced writes', probe / 1e6, ' MB/s')
  report.timed.atLeast('repair over the disk probe', rate / probe, 0.3)
  const times = [calmFromMs, killedMs, begunMs, endedMs] as const
  showForeground(
    report,
    'GET',
    spansOf(times, (fromMs, toMs) => readWaits(load, fromMs, toMs)),
  )
  showForeground(
    report,
    'PUT',
    spansOf(times, (fromMs, toMs) => storeWaits(load, fromMs, toMs)),
  )
}

/** Of one kind of request: before the death, until repair began, and while it worked. */
type Spans = readonly [calm: Waits, dead: Waits, repair: Waits]

function spansOf(
  [calmFromMs, killedMs, begunMs, endedMs]: readonly [number, number, number, number],
  waits: (fromMs: number, toMs: number) => Waits,
): Spans {
  return [waits(calmFromMs, killedMs), waits(killedMs, begunMs), waits(begunMs, endedMs)]
}

/** A write to groups with a dead member goes on with a quorum: it is neither refused nor much slower. */
function showForeground(report: Report, method: string, spans: Spans): void {
  const [calm, , repair] = spans
  report.figure(
    `${method} p99 before the death, until repair began, and during repair`,
    spans.map(({ p99, count }) => `${p99.toFixed(1)} ms of ${count}`).join(', '),
  )
  report.timed.atMost(`${method} p99 during repair over before`, repair.p99 / calm.p99, 3)
  report.timed.atMost(`${method} failed during repair`, repair.failed, 0)
}

async function fill({ cluster }: ClusterWorld, objects: number): Promise<Map<string, string>> {
  const [client] = cluster.clients
  await client?.send('PUT', `/${BUCKET}`)
  const hashes = new Map<string, string>()
  for (let at = 0; at < objects; at++) {
    const body = contentOf(`object ${at}`, OBJECT_BYTES)
    await insist(async () => {
      const answer = await client?.send('PUT', `/${BUCKET}/k${at}`, { body, timeoutMs: PUT_MS })
      return answer?.status === 200
    })
    hashes.set(`k${at}`, sha256(body))
  }
  return hashes
}

async function insist(act: () => Promise<boolean>): Promise<void> {
  for (let left = PUT_TRIES; left > 0; left--) if (await act().catch(() => false)) return
  throw new Error('the cluster cannot be filled')
}

async function countWrong({ cluster }: ClusterWorld, hashes: ReadonlyMap<string, string>): Promise<number> {
  let wrong = 0
  for (const [key, hash] of hashes) {
    const answer = await cluster.clients[1]?.send('GET', `/${BUCKET}/${key}`, { timeoutMs: PUT_MS })
    if (answer === undefined || sha256(answer.body) !== hash) wrong++
  }
  return wrong
}
