/** The figures of the performance floors, in one run with the probes: see bench/ for how each is measured. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeFolder, temporaryFolder } from '../harness/folders.js'
import { runOk } from '../harness/run.js'
import type { Report } from './report.js'

const BENCH = fileURLToPath(new URL('../../../../bench/dist/src/main.js', import.meta.url))
const LIST_KEYS = 1_000_000
/** The figures are medians of so many rounds, each beside its own probes. */
const ROUNDS = 3

/** What `bench --json` says of one workload. */
interface Figures {
  readonly workload: string
  readonly connections: number
  readonly megabytesPerSecond: number
  readonly keysPerSecond: number
  readonly cpuMicros: number
  readonly emptyReplies: number
}
interface BenchResult {
  readonly figures: readonly Figures[]
  readonly probes: {
    readonly md5MegabytesPerSecond: number
    readonly loopbackMegabytesPerSecond: number
  }
}

const WORKLOADS = [
  'PUT 4 KiB, 64',
  'OVERWRITE 4 KiB, 64',
  'GET 4 KiB, 64',
  'PUT 64 MiB',
  'GET 64 MiB',
  'COPY 1 KiB',
  'COPY 1 GiB',
  'LIST',
] as const

/** `npm run show -- figures`; CAIRN_SHOW_OBJECTS makes the listed bucket smaller. */
export async function showFigures(report: Report): Promise<void> {
  const keys = Number(process.env.CAIRN_SHOW_OBJECTS ?? LIST_KEYS)
  const result = await runBench(report, keys)
  const find = (workload: string): Figures => {
    const found = result.figures.find((each) => each.workload === workload)
    if (found === undefined) throw new Error(`the benchmark has no ${workload}`)
    return found
  }
  const { md5MegabytesPerSecond: md5, loopbackMegabytesPerSecond: loopback } = result.probes
  report.atMost('PUT 4 KiB at 64 connections, CPU of empty replies', find('PUT 4 KiB').emptyReplies, 10)
  report.atMost('GET 4 KiB at 64 connections, CPU of empty replies', find('GET 4 KiB').emptyReplies, 5)
  report.atLeast('PUT 64 MiB, one stream, of the MD5 probe', find('PUT 64 MiB').megabytesPerSecond / md5, 0.5)
  report.atLeast(
    'GET 64 MiB, one stream, of the loopback probe',
    find('GET 64 MiB').megabytesPerSecond / loopback,
    0.4,
  )
  report.atLeast('LIST without delimiter', find(`LIST of ${keys}`).keysPerSecond, 100_000, ' keys/s')
  report.atLeast('LIST with delimiter', find(`LIST delimiter of ${keys}`).keysPerSecond, 100_000, ' keys/s')
  // Paging the block map of the large one is allowed for.
  const copies = find('COPY 1 GiB').cpuMicros / find('COPY 1 KiB').cpuMicros
  report.atMost('COPY 1 GiB, CPU of COPY 1 KiB', copies, 1.5)
}

async function runBench(report: Report, keys: number): Promise<BenchResult> {
  const folder = await temporaryFolder('figures')
  try {
    const json = join(folder, 'figures.json')
    const only = WORKLOADS.flatMap((name) => ['--only', name])
    const shape = ['--list-keys', String(keys), '--rounds', String(ROUNDS)]
    const args = [BENCH, ...shape, '--folder', folder, '--json', json, ...only]
    const said = await runOk(process.execPath, args, { timeoutMs: 3_600_000 })
    for (const line of said.stdout.toString().trimEnd().split('\n')) report.step(line)
    return JSON.parse(await readFile(json, 'utf8')) as BenchResult
  } finally {
    await removeFolder(folder)
  }
}
