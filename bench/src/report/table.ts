/** Figures as lines of text, and as a table in Markdown. */
import type { Probes } from '../probes.js'
import type { Figures } from './figures.js'

type Column = readonly [name: string, width: number, text: (figures: Figures) => string]

const digits = (value: number | undefined, places: number): string =>
  value === undefined ? '–' : value.toFixed(places)
/** Three significant digits at least. */
const short = (value: number): string => value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)

const COLUMNS: readonly Column[] = [
  ['workload', -24, ({ workload }) => workload],
  ['target', -10, ({ target }) => target],
  ['conns', 5, ({ connections }) => String(connections)],
  ['ops/s', 8, ({ perSecond }) => short(perSecond)],
  ['MB/s', 7, ({ megabytesPerSecond }) => (megabytesPerSecond === 0 ? '–' : short(megabytesPerSecond))],
  ['keys/s', 8, ({ keysPerSecond }) => (keysPerSecond === 0 ? '–' : keysPerSecond.toFixed(0))],
  ['p50 ms', 8, ({ p50Ms }) => short(p50Ms)],
  ['p99 ms', 8, ({ p99Ms }) => short(p99Ms)],
  ['p99.9 ms', 8, ({ p999Ms }) => short(p999Ms)],
  ['CPU µs/op', 9, ({ cpuMicros }) => digits(cpuMicros, 0)],
  ['× empty', 8, ({ emptyReplies }) => digits(emptyReplies, 1)],
  ['E', 5, ({ efficiency }) => digits(efficiency, 2)],
  ['RSS MB', 6, ({ residentMegabytes }) => digits(residentMegabytes, 0)],
  ['against first', 18, ({ ratio }) => (ratio === undefined ? '' : ratioText(ratio))],
]

function ratioText({ median, low, high }: NonNullable<Figures['ratio']>): string {
  return `${median.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`
}

function pad(text: string, width: number): string {
  return width < 0 ? text.padEnd(-width) : text.padStart(width)
}

/** The names of the columns. */
export function headLine(): string {
  return COLUMNS.map(([name, width]) => pad(name, width)).join(' ')
}

/** One line for a terminal, with lines below for the open loop and for what spoils the figures. */
export function textLines(figures: Figures): string[] {
  return [
    COLUMNS.map(([, width, text]) => pad(text(figures), width)).join(' '),
    ...figures.open.map(
      ({ share, p50Ms, p99Ms, p999Ms }) =>
        `    open loop at ${(share * 100).toFixed(0)} %: p50 ${short(p50Ms)} p99 ${short(p99Ms)} p99.9 ${short(p999Ms)} ms`,
    ),
    ...partLines(figures),
    ...figures.marks.map((mark) => `    marked: ${mark}`),
  ]
}

function partLines({ partMicros }: Figures): string[] {
  if (partMicros === undefined) return []
  const parts = Object.entries(partMicros).map(([name, micros]) => `${name} ${micros.toFixed(0)}`)
  return [`    CPU µs/op: ${parts.join(', ')}`]
}

/** The table of docs/benchmarks.md. */
export function markdownTable(all: readonly Figures[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    line(COLUMNS.map(([name]) => name)),
    line(COLUMNS.map(([, width]) => (width < 0 ? '---' : '--:'))),
    ...all.map((figures) => line(COLUMNS.map(([, , text]) => text(figures)))),
  ].join('\n')
}

/** The probes of a run. */
export function probesTable(probes: Probes): string {
  const rows = Object.entries(probes).map(([name, value]) => `| ${name} | ${short(value as number)} |`)
  return ['| probe | value |', '| --- | --: |', ...rows].join('\n')
}
