/**
 * The order of a run. Each workload is measured in rounds: calibration, then all targets forth and back (A B B A), so
 * that a machine that grows slower meanwhile is no target's advantage, then calibration again. A round whose two
 * calibrations differ by more than DRIFT_MAX, or during which others took CPU, is marked. Before the first round each
 * target does the work once unmeasured: asked is what a running server costs, not its compiler in the first minute.
 */
import { measureClosed, measureOpen, type Sample } from './measure.js'
import { type Probes, runProbes } from './probes.js'
import { cpuSeconds, type MachineTime, machineTime } from './process-usage.js'
import type { Target } from './target.js'
import { openStage, type Stage } from './workloads/stage.js'
import type { Workload } from './workloads/workload.js'

/** Calibrations that differ by more than this are of two different machines. */
const DRIFT_MAX = 0.1
/** CPU that neither the servers nor we have used, as a share of what the machine has. */
const FOREIGN_MAX = 0.05

/** What one target has shown in one workload. */
export interface Cell {
  readonly target: Target
  readonly workload: Workload
  readonly samples: readonly Sample[]
  /** At a share of the closed loop's rate. */
  readonly open: readonly { readonly share: number; readonly sample: Sample }[]
  /** Calibrations before and after each round, in order. */
  readonly probes: readonly Probes[]
  /** Why its figures deserve less trust. */
  readonly marks: readonly string[]
}

export interface RunOptions {
  readonly targets: readonly Target[]
  readonly workloads: readonly Workload[]
  /** On the disk that the servers use. */
  readonly folder: string
  readonly rounds: number
  /** Shares of the closed loop's rate at which the open loop runs. */
  readonly openShares: readonly number[]
  readonly onCells: (cells: readonly Cell[]) => void
}

/** Runs everything; the cells of a workload are told as soon as they are there. */
export async function runAll(options: RunOptions): Promise<readonly Cell[]> {
  const stages = new Map<Target, Stage>()
  for (const target of options.targets) stages.set(target, await openStage(target))
  const cells: Cell[] = []
  let before = await runProbes(options.folder)
  for (const workload of options.workloads) {
    const measured = await measureWorkload(workload, stages, before, options)
    before = measured.probes
    options.onCells(measured.cells)
    cells.push(...measured.cells)
  }
  return cells
}

async function measureWorkload(
  workload: Workload,
  stages: ReadonlyMap<Target, Stage>,
  before: Probes,
  options: RunOptions,
): Promise<{ cells: readonly Cell[]; probes: Probes }> {
  const { targets, rounds, folder } = options
  const samples = new Map<Target, Sample[]>(targets.map((target) => [target, []]))
  const probes: Probes[] = [before]
  const marks = new Set<string>()
  for (const stage of stages.values()) await measureClosed(workload, stage, await workload.prepare(stage))
  for (let round = 0; round < rounds; round++) {
    const watch = await watchOthers(targets)
    const order = targets.length === 1 ? targets : [...targets, ...[...targets].reverse()]
    for (const target of order) {
      const stage = stages.get(target) as Stage
      const items = await workload.prepare(stage)
      samples.get(target)?.push(await measureClosed(workload, stage, items))
    }
    const foreign = await watch()
    if (foreign > FOREIGN_MAX) marks.add(`others used ${(foreign * 100).toFixed(0)} % of the CPU`)
    const after = await runProbes(folder)
    const drift = driftOf(probes.at(-1) as Probes, after)
    if (drift > DRIFT_MAX) marks.add(`calibration moved by ${(drift * 100).toFixed(0)} %`)
    probes.push(after)
  }
  const cells: Cell[] = []
  for (const target of targets) {
    const closed = samples.get(target) ?? []
    const open = await measureShares(workload, stages.get(target) as Stage, closed, options.openShares)
    cells.push({ target, workload, samples: closed, open, probes, marks: [...marks] })
  }
  return { cells, probes: probes.at(-1) as Probes }
}

async function measureShares(
  workload: Workload,
  stage: Stage,
  closed: readonly Sample[],
  shares: readonly number[],
): Promise<Cell['open']> {
  const best = Math.max(...closed.map(({ perSecond }) => perSecond))
  const open: { share: number; sample: Sample }[] = []
  for (const share of shares) {
    const items = await workload.prepare(stage)
    open.push({ share, sample: await measureOpen(best * share, stage, items) })
  }
  return open
}

function driftOf(a: Probes, b: Probes): number {
  const change = (one: number, other: number): number => Math.abs(one - other) / Math.max(one, other)
  return Math.max(
    change(a.emptyReplyCpuMicros, b.emptyReplyCpuMicros),
    change(a.md5MegabytesPerSecond, b.md5MegabytesPerSecond),
  )
}

/** Begins to watch; the function gives the share of the machine's CPU that others used, steal included. */
async function watchOthers(targets: readonly Target[]): Promise<() => Promise<number>> {
  const pids = targets.flatMap((target) => target.pids)
  const own = (): number => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }
  const take = async (): Promise<MachineTime & { known: number }> => ({
    ...(await machineTime()),
    known: (await cpuSeconds(pids)) + own(),
  })
  const from = await take()
  return async () => {
    const to = await take()
    const busy = to.busySeconds - from.busySeconds - (to.known - from.known)
    const steal = to.stealSeconds - from.stealSeconds
    return Math.max(0, busy + steal) / (to.totalSeconds - from.totalSeconds)
  }
}
