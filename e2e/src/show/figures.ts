/** The figures of the performance floors, in one run with the probes: see bench/ for how each is measured. */
import { type BenchFigures, findFigures, runBench } from '../harness/bench-tool.js'
import type { Report } from './report.js'

const LIST_KEYS = 1_000_000
/** The figures are medians of so many rounds, each beside its own probes. */
const ROUNDS = 3

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
  const only = WORKLOADS.flatMap((name) => ['--only', name])
  const args = ['--list-keys', String(keys), '--rounds', String(ROUNDS), ...only]
  const result = await runBench(args, report.step)
  const find = (workload: string): BenchFigures => findFigures(result, { workload })
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
