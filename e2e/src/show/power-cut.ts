/**
 * Power cuts: a server works under the disk shim, and from the log of what it did to its disk, folders are built as
 * a cut at a random moment may leave them: what was not synced is lost in part. On each a real server starts: all
 * that was acknowledged before the cut is there, byte for byte, and no deleted object is back. It is killed while
 * it recovers, too. To prove the rig, the same is done with a server that does not sync, and with a log without the
 * syncs of folders: there it must find losses.
 */
import { join } from 'node:path'
import { DiskImage } from '../harness/disk-image.js'
import { type DiskRecord, readDiskLog } from '../harness/disk-log.js'
import { buildShim, shimEnv } from '../harness/disk-shim.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { checkLedger } from '../harness/ledger-check.js'
import { createSeeded, type Seeded } from '../harness/seeded.js'
import { type Server, startServer } from '../harness/server.js'
import { type History, ledgerAt, runWorkload, WORKLOAD_BUCKET } from '../harness/workload.js'
import type { Report } from './report.js'

/** CAIRN_SHOW_ROUNDS asks for more or fewer. */
const ROUNDS = 50
/** Share of the rounds that are made once more without syncs, to see that the rig finds losses. */
const PROOF_SHARE = 0.2
const PROOF_ROUNDS_MIN = 3
/** A server that syncs does so at a tenth of its changes; one that does not still syncs a few small files. */
const SYNC_SHARE_MIN = 0.05
const CLIENTS = 3
/** Garbage is freed and compacted within a run, so that cuts meet that too; compaction looks every 10 s. */
const ENV = { CAIRN_GC_GRACE_SECONDS: '0' }
const RUN_MS = 13_000
const RECOVERY_KILL_MS_MAX = 600

interface Recording {
  readonly records: readonly DiskRecord[]
  readonly history: History
  /** Indexes of records after which a process ended. */
  readonly ends: ReadonlySet<number>
  readonly dataDir: string
}

export interface PowerCutOptions {
  readonly rounds?: number
  readonly runMs?: number
}

/** `npm run show -- power-cut`; fewer rounds for the sample in `npm test`. */
export async function showPowerCut(report: Report, options: PowerCutOptions = {}): Promise<void> {
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed} (repeat with CAIRN_TEST_SEED=${seeded.seed})`)
  const rounds = options.rounds ?? Number(process.env.CAIRN_SHOW_ROUNDS ?? ROUNDS)
  const proofRounds = Math.max(PROOF_ROUNDS_MIN, Math.ceil(rounds * PROOF_SHARE))
  const folder = await temporaryFolder('power-cut')
  try {
    const shim = await buildShim(folder)
    const recording = await record(join(folder, 'fsync'), shim, seeded, { ...options, env: ENV })
    describeRecording(recording, report)
    const lost = await cutMany(recording, { folder, rounds, seeded })
    report.atLeast('power cuts', rounds, rounds)
    report.atMost(
      'keys with a wrong state, after recovery and after a recovery that was killed',
      lost.length,
      0,
    )
    for (const line of lost.slice(0, 20)) report.step(line)
    const unsynced = await cutMany(withoutFolderSyncs(recording), { folder, rounds: proofRounds, seeded })
    report.atLeast('losses that the rig finds without the syncs of folders', unsynced.length, 1)
    await prove({ folder, shim, seeded, report }, proofRounds)
  } finally {
    await removeFolder(folder)
  }
}

async function prove(
  world: { folder: string; shim: string; seeded: Seeded; report: Report },
  rounds: number,
): Promise<void> {
  const { folder, shim, seeded, report } = world
  const env = { ...ENV, CAIRN_DURABILITY: 'none' }
  const recording = await record(join(folder, 'none'), shim, seeded, { env, runMs: 2000 })
  const lost = await cutMany(recording, { folder, rounds, seeded })
  report.atLeast('losses that the rig finds in a server without syncs', lost.length, 1)
}

/** The log of a server that would sync files but no folder. */
function withoutFolderSyncs(recording: Recording): Recording {
  const folders = new Set(recording.records.filter(({ kind }) => kind === 'mkdir').map(({ path }) => path))
  const isKept = ({ kind, path }: DiskRecord) => !((kind === 'begin' || kind === 'end') && folders.has(path))
  const ends = new Set<number>()
  const records: DiskRecord[] = []
  for (const [index, entry] of recording.records.entries()) {
    if (recording.ends.has(index)) ends.add(records.length)
    if (isKept(entry)) records.push(entry)
  }
  return { ...recording, records, ends }
}

function describeRecording({ records, history }: Recording, report: Report): void {
  const syncs = records.filter(({ kind }) => kind === 'end').length
  const removed = records.filter(({ kind, path }) => kind === 'unlink' && path.includes('/segments/')).length
  const done = history.filter(({ outcome }) => outcome === 'acknowledged').length
  report.figure('writes acknowledged', done)
  report.figure('changes of the disk in the log', records.length)
  report.figure('of them syncs', syncs)
  report.figure('segments that compaction removed', removed)
}

interface RecordOptions {
  readonly env: Readonly<Record<string, string>>
  readonly runMs?: number
}

/** Two lives of one server under load: the first ends by SIGKILL, so that a recovery is in the log as well. */
async function record(
  folder: string,
  shim: string,
  seeded: Seeded,
  { env, runMs = RUN_MS }: RecordOptions,
): Promise<Recording> {
  const dataDir = join(folder, 'data')
  const log = `${folder}.log`
  const shimmed = { ...env, ...shimEnv({ shim, root: dataDir, log, withData: true }) }
  const history: History = []
  const ends = new Set<number>()
  for (const [index, ms] of [runMs, Math.min(runMs, 3000)].entries()) {
    const server = await startServer({ dataDir, env: shimmed })
    const until = performance.now() + ms
    const running = runWorkload(server, {
      operations: 10_000,
      seeded,
      clients: CLIENTS,
      name: `run${index}-`,
      goesOn: () => performance.now() < until,
    })
    await new Promise((resolve) => setTimeout(resolve, ms))
    await server.kill()
    history.push(...(await running))
    ends.add((await readDiskLog(log)).length)
  }
  return { records: await readDiskLog(log), history, ends, dataDir }
}

interface CutOptions {
  readonly folder: string
  readonly rounds: number
  readonly seeded: Seeded
}

/** Complaints of all rounds. The log is replayed once; the cuts are made on the way. */
async function cutMany(recording: Recording, options: CutOptions): Promise<string[]> {
  const { records, ends, dataDir } = recording
  const cuts = chooseCuts(records, options)
  const image = new DiskImage(dataDir)
  const complaints: string[] = []
  for (const [index, change] of records.entries()) {
    if (ends.has(index)) image.processEnded()
    for (let round = cuts.get(index) ?? 0; round > 0; round--) {
      const target = join(options.folder, `cut-${index}-${round}`)
      await image.write(target, options.seeded)
      const found = await checkCut(target, recording.history, change.atNs, options.seeded)
      complaints.push(...found.map((line) => `cut before change ${index}: ${line}`))
      await removeFolder(target)
    }
    image.apply(change)
  }
  return complaints
}

/** How often to cut before each record: anywhere, and as often right after a sync, if the server syncs at all. */
function chooseCuts(records: readonly DiskRecord[], { rounds, seeded }: CutOptions): Map<number, number> {
  const isCut = ({ kind }: DiskRecord, index: number) => kind === 'end' && index + 1 < records.length
  const afterSync = records.flatMap((change, index) => (isCut(change, index) ? [index + 1] : []))
  const syncs = afterSync.length > records.length * SYNC_SHARE_MIN
  const cuts = new Map<number, number>()
  for (let round = 0; round < rounds; round++) {
    const at = syncs && round % 2 === 0 ? seeded.pick(afterSync) : seeded.below(records.length)
    cuts.set(at, (cuts.get(at) ?? 0) + 1)
  }
  return cuts
}

/** Kills a server that recovers the folder, then lets another one do it, twice, and compares. */
async function checkCut(dataDir: string, history: History, atNs: bigint, seeded: Seeded): Promise<string[]> {
  const ledger = ledgerAt(history, atNs)
  const complaints: string[] = []
  try {
    if (seeded.fraction() < 0.7) await killStarting(dataDir, seeded)
    for (const end of ['kill', 'stop'] as const) {
      const server = await startServer({ dataDir, env: ENV })
      try {
        complaints.push(...(await checkLedger(server, ledger, { bucket: WORKLOAD_BUCKET })))
      } finally {
        await server[end]()
      }
    }
  } catch (error) {
    complaints.push(`no start: ${(error as Error).message}`)
  }
  return complaints
}

async function killStarting(dataDir: string, seeded: Seeded): Promise<void> {
  const killAfterMs = seeded.below(RECOVERY_KILL_MS_MAX)
  const ended = (server: Server): Promise<void> => server.kill()
  await startServer({ dataDir, env: ENV, killAfterMs }).then(ended, () => undefined)
}
