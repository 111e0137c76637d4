/**
 * Each kind of file in the data folder, damaged in each way: a server starts on it and gives right bytes or a named
 * error for every object, never wrong ones; or it refuses to start and names what mends it, and then that works.
 * The kinds are found by listing the folder, so that new ones are met too. With three drives, damage on one is to
 * cost nothing at all.
 */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { poll } from '../harness/check.js'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { inLanes } from '../harness/lanes.js'
import { checkLedger } from '../harness/ledger-check.js'
import { filesByKind, ROTS } from '../harness/rot.js'
import { run, runOk } from '../harness/run.js'
import { createSeeded, type Seeded } from '../harness/seeded.js'
import { CAIRN, readMetrics, type Server, startServer } from '../harness/server.js'
import { hasTool } from '../harness/tools.js'
import { type History, ledgerOf, runWorkload, WORKLOAD_BUCKET } from '../harness/workload.js'
import type { Report } from './report.js'

const OPERATIONS = 40
/** This way is tried at several places of each kind of file. */
const FLIP = 'flip one bit'
const FORBID = 'take all rights'
const FLIPS = 12
/** Root may do everything: rights count only for a user without privileges. */
const PLAIN_USER = '65534'
const READY_MS = 60_000
/** Within this the journals of the metadata have all, on a busy machine too. */
const JOURNALED_MS = 60_000

/** `npm run show -- bit-rot`; fewer cases for the sample in `npm test`. */
export async function showBitRot(report: Report, cases: number = casesWanted()): Promise<void> {
  const seeded = createSeeded()
  report.step(`seed ${seeded.seed} (repeat with CAIRN_TEST_SEED=${seeded.seed})`)
  const folder = await temporaryFolder('bit-rot')
  try {
    await runOk('chmod', ['755', folder])
    const worlds: World[] = []
    for (const drives of [3, 1]) worlds.push(await prepare(folder, drives, seeded))
    const all: Case[] = []
    for (const world of worlds) all.push(...(await casesOf(world, seeded)))
    await tryAll(sampleOf(all, cases, seeded), all.length, report)
  } finally {
    await removeFolder(folder)
  }
}

function casesWanted(): number {
  return Number(process.env.CAIRN_SHOW_CASES ?? Number.POSITIVE_INFINITY)
}

/** A data folder as SIGKILL left it, one as a clean stop left it, and an older state. */
interface World {
  readonly folder: string
  readonly drives: number
  readonly env: Readonly<Record<string, string>>
  readonly states: { readonly older: string; readonly killed: string; readonly stopped: string }
  readonly history: History
  readonly seed: number
}

interface Case {
  readonly world: World
  readonly state: 'killed' | 'stopped'
  readonly kind: string
  readonly path: string
  readonly alike: readonly string[]
  readonly way: string
}

async function prepare(parent: string, drives: number, seeded: Seeded): Promise<World> {
  const folder = join(parent, `drives-${drives}`)
  const dataDir = join(folder, 'data')
  // Open to the user without privileges; the data folder itself is its owner's.
  await mkdir(folder, { mode: 0o755 })
  const states = {
    older: join(folder, 'older'),
    killed: join(folder, 'killed'),
    stopped: join(folder, 'stopped'),
  }
  const env = { CAIRN_DRIVES: String(drives) }
  const history: History = []
  for (const [state, end] of [
    ['older', 'stop'],
    ['killed', 'kill'],
    ['stopped', 'stop'],
  ] as const) {
    const server = await startServer({ dataDir, env })
    const operations = state === 'stopped' ? 0 : OPERATIONS
    history.push(...(await runWorkload(server, { operations, seeded, name: `${state}-` })))
    // The journals on the drives may be a second behind: what is younger has one copy, and is not judged here.
    const lag = await poll(
      () => journalLag(server),
      (seconds) => seconds === 0,
      JOURNALED_MS,
    )
    if (lag > 0) throw new Error(`the journals are ${lag} s behind`)
    await server[end]()
    await runOk('cp', ['-a', dataDir, states[state]])
  }
  return { folder, drives, env, states, history, seed: seeded.seed }
}

/** Seconds that the slowest journal is behind; 0 if all have everything. */
async function journalLag(server: Server): Promise<number> {
  const lags = [...(await readMetrics(server))].filter(([name]) =>
    name.startsWith('cairn_journal_lag_seconds'),
  )
  return lags.length === 0 ? Infinity : Math.max(...lags.map(([, seconds]) => seconds))
}

async function casesOf(world: World, seeded: Seeded): Promise<Case[]> {
  const cases: Case[] = []
  const ways = [...ROTS.keys()].flatMap((way) => Array<string>(way === FLIP ? FLIPS : 1).fill(way))
  for (const state of ['killed', 'stopped'] as const) {
    for (const [kind, alike] of await filesByKind(world.states[state])) {
      cases.push(...ways.map((way) => ({ world, state, kind, path: seeded.pick(alike), alike, way })))
    }
  }
  return cases
}

/** Shuffled, and as many as wanted. */
function sampleOf(all: readonly Case[], wanted: number, seeded: Seeded): Case[] {
  if (wanted >= all.length) return [...all]
  const left = [...all]
  return Array.from({ length: wanted }, () => left.splice(seeded.below(left.length), 1)[0] as Case)
}

async function tryAll(cases: readonly Case[], all: number, report: Report): Promise<void> {
  const canForbid = process.getuid?.() === 0 && (await hasTool('setpriv'))
  const complaints: string[] = []
  const counts = { damaged: 0, served: 0, mended: 0 }
  await inLanes(cases, async (each, { lane, index }) => {
    if (each.way === FORBID && !canForbid) return
    // A seed of its own: what a case does depends on nothing that runs beside it.
    const seeded = createSeeded(each.world.seed + index)
    const verdict = await tryCase(each, join(each.world.folder, `case-${lane}`), seeded)
    if (verdict === undefined) return
    counts.damaged++
    counts[verdict.mended === undefined ? 'served' : 'mended']++
    if (verdict.complaints.length === 0) return
    const name = `${each.way}, ${each.path}, ${each.state}, drives ${each.world.drives}`
    complaints.push(`${name}: ${verdict.complaints.slice(0, 3).join('; ')}`)
    report.step(complaints.at(-1) ?? '')
  })
  report.figure(`damages tried, of ${all} (the rest cannot be done to their file)`, counts.damaged)
  report.figure('started at once', counts.served)
  report.figure('refused, and mended as the message said', counts.mended)
  report.atMost('wrong bytes, lost keys or starts that fail for good', complaints.length, 0)
}

interface Verdict {
  readonly complaints: readonly string[]
  /** What the refused start named. */
  readonly mended?: string
}

/** `undefined` if the damage cannot be done to the file. */
async function tryCase(each: Case, dataDir: string, seeded: Seeded): Promise<Verdict | undefined> {
  const { world, path, alike, way, state } = each
  await runOk('cp', ['-a', world.states[state], dataDir])
  try {
    const victim = { dataDir, path, alike, olderDir: world.states.older, seeded }
    if ((await ROTS.get(way)?.(victim)) !== true) return undefined
    return await judge(each, dataDir)
  } finally {
    await removeFolder(dataDir)
  }
}

async function judge(each: Case, dataDir: string): Promise<Verdict> {
  if (each.way === FORBID) await runOk('chown', ['-R', PLAIN_USER, dataDir])
  const first = await tryStart(each, dataDir)
  if (typeof first !== 'string') return { complaints: await check(each, first) }
  const mended = await mend(first, each, dataDir)
  if (mended === undefined) return { complaints: [`no start: ${first}`] }
  const repaired = { ...each, way: 'mended' }
  const second = await tryStart(repaired, dataDir)
  if (typeof second === 'string') return { complaints: [`no start after "${mended}": ${second}`], mended }
  const complaints = await check(repaired, second)
  return { complaints: complaints.map((line) => `after "${mended}": ${line}`), mended }
}

/** The running server, or why it refused. */
async function tryStart({ world, way }: Case, dataDir: string): Promise<Server | string> {
  const wrapper = way === FORBID ? ['setpriv', '--reuid', PLAIN_USER, '--clear-groups'] : []
  try {
    return await startServer({ dataDir, env: world.env, wrapper, readyTimeoutMs: READY_MS })
  } catch (error) {
    const text = (error as Error).message
    return text
      .split('\n')
      .filter((line) => !line.startsWith('{'))
      .join('\n')
      .slice(0, 600)
  }
}

/** Does what the message of a refused start says; `undefined` if it says nothing. */
async function mend(said: string, { way, path, world }: Case, dataDir: string): Promise<string | undefined> {
  // The file is named, or the folder that it lies in.
  if (way === FORBID && (said.includes(basename(path)) || said.includes(`/${dirname(path)} `))) {
    await runOk('chmod', ['-R', 'u+rwX', dataDir])
    return 'give the rights back'
  }
  if (said.includes('cairn metadata recover')) {
    const env = { ...world.env, CAIRN_DATA_DIR: dataDir }
    const { status } = await run(process.execPath, [CAIRN, 'metadata', 'recover'], { env })
    return status === 0 ? 'cairn metadata recover' : undefined
  }
  const named = /delete (\S+?)[,;: ]/.exec(said)?.[1]
  if (named === undefined || !(await readdir(dataDir)).includes(named.slice(dataDir.length + 1)))
    return undefined
  await rm(named)
  return `delete ${named}`
}

/** Every key, twice with a start between; with damage on one of three drives there is not to be an error either. */
async function check(each: Case, first: Server): Promise<string[]> {
  const { world, path } = each
  const allowsErrors = world.drives === 1 || !path.startsWith('drives/')
  const ledger = ledgerOf(world.history)
  const complaints: string[] = []
  const options = { bucket: WORKLOAD_BUCKET, allowsErrors }
  try {
    complaints.push(...(await checkLedger(first, ledger, options)))
  } finally {
    await first.stop()
  }
  const again = await tryStart(each, first.dataDir)
  if (typeof again === 'string') return [...complaints, `no second start: ${again}`]
  try {
    complaints.push(...(await checkLedger(again, ledger, options)))
    return complaints
  } finally {
    await again.stop()
  }
}
