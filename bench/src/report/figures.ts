/** What a report says of a cell: medians over its rounds, beside the limit and the first target. */
import { median, pairedRatio, type Ratio } from '../compare.js'
import { leastCpuMicros } from '../limits.js'
import type { Probes } from '../probes.js'
import type { Cell } from '../run.js'

export interface Figures {
  readonly workload: string
  readonly target: string
  readonly connections: number
  readonly perSecond: number
  /** Of bodies, both directions; 0 for requests without. */
  readonly megabytesPerSecond: number
  /** Listed; 0 for other requests. */
  readonly keysPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly cpuMicros?: number
  /** The same of each part that the target names. */
  readonly partMicros?: Readonly<Record<string, number>>
  /** `cpuMicros` in empty replies of the same rounds. */
  readonly emptyReplies?: number
  /** Least possible CPU ÷ measured CPU. */
  readonly efficiency?: number
  readonly residentMegabytes?: number
  /** CPU against the first target's; throughput where CPU is not known. Below 1 is cheaper or slower. */
  readonly ratio?: Ratio
  readonly open: readonly {
    readonly share: number
    readonly p50Ms: number
    readonly p99Ms: number
    readonly p999Ms: number
  }[]
  readonly marks: readonly string[]
}

/** The probes of a cell, each the median of its calibrations. */
export function medianProbes({ probes }: Pick<Cell, 'probes'>): Probes {
  const names = Object.keys(probes[0] ?? {}) as (keyof Probes)[]
  return Object.fromEntries(
    names.map((name) => [name, median(probes.map((each) => each[name]))]),
  ) as unknown as Probes
}

/** `first` is the cell of the first target in the same workload. */
export function figuresOf(cell: Cell, first: Cell, copies: number): Figures {
  const { workload, samples, target } = cell
  const of = (pick: (sample: Cell['samples'][number]) => number): number => median(samples.map(pick))
  const perSecond = of((sample) => sample.perSecond)
  const cpu = samples.flatMap(({ cpuMicros }) => (cpuMicros === undefined ? [] : [cpuMicros]))
  const resident = samples.flatMap((sample) =>
    sample.residentBytes === undefined ? [] : [sample.residentBytes / 1e6],
  )
  return {
    workload: workload.name,
    target: target.name,
    connections: workload.connections,
    perSecond,
    megabytesPerSecond: (perSecond * workload.sizeBytes) / 1e6,
    keysPerSecond: perSecond * (workload.keys ?? 0),
    p50Ms: of((sample) => sample.latencies.p50Ms),
    p99Ms: of((sample) => sample.latencies.p99Ms),
    p999Ms: of((sample) => sample.latencies.p999Ms),
    ...(cpu.length === 0 ? {} : cpuFigures(cell, median(cpu), copies)),
    ...(target.parts === undefined ? {} : { partMicros: medianParts(samples) }),
    ...(resident.length === 0 ? {} : { residentMegabytes: Math.max(...resident) }),
    ...(cell === first ? {} : { ratio: ratioOf(cell, first) }),
    open: cell.open.map(({ share, sample: { latencies } }) => ({ share, ...latencies })),
    marks: cell.marks,
  }
}

function medianParts(samples: Cell['samples']): Record<string, number> {
  const names = Object.keys(samples[0]?.partMicros ?? {})
  return Object.fromEntries(
    names.map((name) => [name, median(samples.map(({ partMicros }) => partMicros[name] ?? 0))]),
  )
}

function cpuFigures(
  cell: Cell,
  cpuMicros: number,
  copies: number,
): Pick<Figures, 'cpuMicros' | 'emptyReplies' | 'efficiency'> {
  const probes = medianProbes(cell)
  return {
    cpuMicros,
    emptyReplies: cpuMicros / probes.emptyReplyCpuMicros,
    efficiency: leastCpuMicros(cell.workload, probes, { copies }) / cpuMicros,
  }
}

function ratioOf(cell: Cell, first: Cell): Ratio {
  const cpuOf = (of: Cell): number[] => of.samples.map(({ cpuMicros = Number.NaN }) => cpuMicros)
  const known = (of: Cell): boolean => cpuOf(of).every(Number.isFinite)
  if (known(cell) && known(first)) return pairedRatio(cpuOf(cell), cpuOf(first))
  const rateOf = (of: Cell): number[] => of.samples.map(({ perSecond }) => perSecond)
  return pairedRatio(rateOf(cell), rateOf(first))
}
