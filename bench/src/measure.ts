/** Measures one workload at one target: load, CPU time and memory of its processes. */
import { type LoadResult, runClosedLoop } from './load/closed-loop.js'
import { runOpenLoop } from './load/open-loop.js'
import type { WorkItem } from './load/work.js'
import { cpuSeconds, residentBytes } from './process-usage.js'
import type { Target } from './target.js'
import type { Stage } from './workloads/stage.js'
import type { Workload } from './workloads/workload.js'

/** One measurement. */
export interface Sample extends LoadResult {
  /** User and system time of all server processes for one request; `undefined` if none were named. */
  readonly cpuMicros: number | undefined
  /** The same of each part that the target names. */
  readonly partMicros: Readonly<Record<string, number>>
  /** Highest resident memory seen, all server processes together. */
  readonly residentBytes: number | undefined
}

const RESIDENT_EVERY_MS = 200

/** The workload in a closed loop. */
export async function measureClosed(
  workload: Workload,
  stage: Stage,
  items: readonly WorkItem[],
): Promise<Sample> {
  const { target } = stage
  const { endpoint } = target
  return watched(target, () => runClosedLoop({ endpoint, connections: workload.connections, items }))
}

/** The workload at a rate; see `runOpenLoop`. */
export async function measureOpen(
  perSecond: number,
  stage: Stage,
  items: readonly WorkItem[],
): Promise<Sample> {
  const { target } = stage
  const { endpoint } = target
  const random = seeded(1)
  return watched(target, () => runOpenLoop({ endpoint, items, perSecond, connectionsMax: 256, random }))
}

async function watched({ pids, parts = {} }: Target, run: () => Promise<LoadResult>): Promise<Sample> {
  if (pids.length === 0) {
    return { ...(await run()), cpuMicros: undefined, partMicros: {}, residentBytes: undefined }
  }
  let highest = await residentBytes(pids)
  const timer = setInterval(() => {
    residentBytes(pids).then(
      (bytes) => {
        highest = Math.max(highest, bytes)
      },
      () => undefined,
    )
  }, RESIDENT_EVERY_MS)
  try {
    const before = { all: await cpuSeconds(pids), parts: await partSeconds(parts) }
    const result = await run()
    const microsOf = (from: number, to: number): number => ((to - from) / result.requests) * 1e6
    const cpuMicros = microsOf(before.all, await cpuSeconds(pids))
    const partMicros = Object.fromEntries(
      [...(await partSeconds(parts))].map(([name, to]) => [name, microsOf(before.parts.get(name) ?? 0, to)]),
    )
    return { ...result, cpuMicros, partMicros, residentBytes: highest }
  } finally {
    clearInterval(timer)
  }
}

async function partSeconds(parts: NonNullable<Target['parts']>): Promise<Map<string, number>> {
  const seconds = new Map<string, number>()
  for (const [name, pids] of Object.entries(parts)) seconds.set(name, await cpuSeconds(pids))
  return seconds
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
