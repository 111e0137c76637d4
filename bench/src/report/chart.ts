/** A chart in SVG: CPU time of one request beside the least that it can cost on the same machine. */
import type { Figures } from './figures.js'

/** Shown, and read out where the chart cannot be seen. */
const TITLE = 'CPU time of one request, all server processes'
const LEFT = 250
const WIDTH = 900
const ROW = 24
const BAR = 8
const TOP = 56
const DECADES = [10, 100, 1000, 10_000, 100_000, 1_000_000]

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** A bar for each figure that knows its CPU, on a logarithmic scale from 10 µs to 1 s. */
export function cpuChart(all: readonly Figures[]): string {
  const rows = all.filter(({ cpuMicros }) => cpuMicros !== undefined)
  const height = TOP + rows.length * ROW + 16
  const at = (micros: number): number =>
    LEFT + (Math.log10(Math.max(10, micros) / 10) / 5) * (WIDTH - LEFT - 80)
  const lines = DECADES.map(
    (micros) =>
      `<line class="grid" x1="${at(micros).toFixed(1)}" x2="${at(micros).toFixed(1)}" y1="${TOP - 8}" y2="${height - 12}"/>` +
      `<text class="axis" x="${at(micros).toFixed(1)}" y="${TOP - 14}" text-anchor="middle">${decadeName(micros)}</text>`,
  )
  const bars = rows.map((figures, index) => rowOf(figures, TOP + index * ROW, at))
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${TITLE}</title>`,
    '<style>text{fill:#333}.axis{fill:#777;font-size:11px}.grid{stroke:#ddd}.least{fill:#9bbcd6}.measured{fill:#2b6a99}' +
      '@media (prefers-color-scheme: dark){text{fill:#ddd}.axis{fill:#999}.grid{stroke:#444}}</style>',
    `<text x="0" y="16" font-size="14" font-weight="600">${TITLE}</text>`,
    '<text class="axis" x="0" y="32">dark: measured · light: the least that this machine allows (docs/benchmarks.md)</text>',
    ...lines,
    ...bars,
    '</svg>',
    '',
  ].join('\n')
}

function rowOf(figures: Figures, y: number, at: (micros: number) => number): string {
  const { cpuMicros = 0, efficiency = 0 } = figures
  const name = escapeXml(`${figures.target}: ${figures.workload}, ${figures.connections}`)
  const bar = (kind: string, micros: number, top: number): string =>
    `<rect class="${kind}" x="${LEFT}" y="${top}" width="${(at(micros) - LEFT).toFixed(1)}" height="${BAR}"/>`
  return (
    `<text x="${LEFT - 8}" y="${y + 12}" text-anchor="end">${name}</text>` +
    bar('measured', cpuMicros, y) +
    bar('least', cpuMicros * efficiency, y + BAR) +
    `<text class="axis" x="${(at(cpuMicros) + 6).toFixed(1)}" y="${y + 9}">${cpuMicros.toFixed(0)} µs</text>`
  )
}

function decadeName(micros: number): string {
  if (micros >= 1_000_000) return '1 s'
  return micros >= 1000 ? `${micros / 1000} ms` : `${micros} µs`
}
