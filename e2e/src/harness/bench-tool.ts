/** The benchmark as a black box. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeFolder, temporaryFolder } from './folders.js'
import { runOk } from './run.js'

const BENCH = fileURLToPath(new URL('../../../../bench/dist/src/main.js', import.meta.url))

/** What the runs look at of what `bench --json` says of one workload at one target. */
export interface BenchFigures {
  readonly workload: string
  readonly target: string
  readonly perSecond: number
  readonly megabytesPerSecond: number
  readonly keysPerSecond: number
  readonly cpuMicros: number
  readonly emptyReplies: number
}

export interface BenchResult {
  readonly figures: readonly BenchFigures[]
  readonly probes: {
    readonly md5MegabytesPerSecond: number
    readonly loopbackMegabytesPerSecond: number
  }
}

/** Runs it with these switches; `say` is given each line that it prints. */
export async function runBench(args: readonly string[], say: (line: string) => void): Promise<BenchResult> {
  const folder = await temporaryFolder('figures')
  try {
    const json = join(folder, 'figures.json')
    const all = [BENCH, '--folder', folder, '--json', json, ...args]
    const said = await runOk(process.execPath, all, { timeoutMs: 3_600_000 })
    for (const line of said.stdout.toString().trimEnd().split('\n')) say(line)
    return JSON.parse(await readFile(json, 'utf8')) as BenchResult
  } finally {
    await removeFolder(folder)
  }
}

/** Of one workload, and of one target where there are several. */
export function findFigures(
  { figures }: BenchResult,
  { workload, target }: { readonly workload: string; readonly target?: string },
): BenchFigures {
  const found = figures.find(
    (each) => each.workload === workload && (target === undefined || each.target === target),
  )
  if (found === undefined) throw new Error(`the benchmark has no ${workload}`)
  return found
}
