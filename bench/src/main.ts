/**
 * `npm run bench`: drives S3 endpoints and prints their figures beside the probes of the same run. Without `--target`
 * it starts a Cairn of its own with three drives on one disk, durable.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { startCairn } from './cairn-process.js'
import { cpuChart } from './report/chart.js'
import { benchmarkDocument } from './report/document.js'
import { type Figures, figuresOf, medianProbes } from './report/figures.js'
import { headLine, probesTable, textLines } from './report/table.js'
import { type Cell, runAll } from './run.js'
import { parseTarget, type Target } from './target.js'
import { grid } from './workloads/grids.js'

const HELP = `npm run bench -- [options]
  --target name=N,endpoint=http://H:P,access-key=K,secret-key=S[,region=R][,pids=gateway:1+2][,contract=TEXT]
                    may be repeated; without it a Cairn is started
  --quick           a tenth of the requests
  --rounds N        rounds of A B B A (1)
  --only TEXT       workloads whose "name, connections" contains TEXT; may be repeated
  --open 0.5,0.8    also in an open loop at these shares of the closed loop's rate
  --list-keys N     keys in the bucket that is listed (20000)
  --copies N        copies that a write is stored in, for E (3)
  --folder DIR      where the disk is probed and our own server keeps its data
  --json FILE       all figures
  --write FILE.md   the document, with FILE.svg beside it
`

const { values } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: [] },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: [] },
    open: { type: 'string', default: '' },
    'list-keys': { type: 'string', default: '20000' },
    copies: { type: 'string', default: '3' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
    write: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const copies = Number(values.copies)
const rounds = Number(values.rounds)

/** As a shell takes it. */
function quoted(word: string): string {
  return /[\s,]/.test(word) ? `'${word}'` : word
}

function tell(cells: readonly Cell[]): Figures[] {
  const figures = cells.map((cell) => figuresOf(cell, cells[0] ?? cell, copies))
  for (const each of figures) for (const line of textLines(each)) say(line)
  return figures
}

async function measure(targets: readonly Target[], folder: string): Promise<void> {
  const workloads = grid({
    scale: values.quick ? 0.1 : 1,
    listKeys: Number(values['list-keys']),
    only: values.only,
  })
  say(headLine())
  const all: Figures[] = []
  const openShares = values.open.split(',').filter(Boolean).map(Number)
  const onCells = (cells: readonly Cell[]): void => void all.push(...tell(cells))
  const cells = await runAll({ targets, workloads, folder, rounds, openShares, onCells })
  const probes = medianProbes({ probes: cells.flatMap((cell) => cell.probes) })
  say(`\n${probesTable(probes)}`)
  if (values.json !== undefined)
    await writeFile(values.json, JSON.stringify({ figures: all, probes }, null, 2))
  if (values.write === undefined) return
  const command = [
    'npm run bench --',
    ...process.argv
      .slice(2)
      .filter((word) => !word.includes('secret-key'))
      .map(quoted),
  ]
  const date = new Date().toISOString().slice(0, 10)
  const facts = { figures: all, probes, targets, command: command.join(' '), rounds, date }
  await writeFile(values.write, benchmarkDocument(facts))
  await writeFile(join(dirname(values.write), 'benchmarks.svg'), cpuChart(all))
}

if (values.help) {
  say(HELP)
} else {
  const folder = await mkdtemp(join(values.folder, 'cairn-bench-'))
  const own = values.target.length === 0 ? await startCairn(join(folder, 'data')) : undefined
  try {
    await measure(own === undefined ? values.target.map(parseTarget) : [own.target], folder)
  } finally {
    await own?.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
