/** docs/benchmarks.md: the figures of one run, and how to read them. */
import { cpus, totalmem } from 'node:os'
import type { Probes } from '../probes.js'
import type { Target } from '../target.js'
import type { Figures } from './figures.js'
import { markdownTable, probesTable } from './table.js'

export interface DocumentFacts {
  readonly figures: readonly Figures[]
  readonly probes: Probes
  readonly targets: readonly Target[]
  readonly command: string
  readonly rounds: number
  readonly date: string
}

/** The whole document; the chart lies beside it as `benchmarks.svg`. */
export function benchmarkDocument(facts: DocumentFacts): string {
  const cpu = cpus()[0]?.model ?? 'unknown CPU'
  const memory = (totalmem() / 1024 ** 3).toFixed(0)
  const contracts = facts.targets.map(({ name, contract }) => `- ${name}: ${contract}`).join('\n')
  const marked = facts.figures.filter(({ marks }) => marks.length > 0)
  const marks = marked.map(
    ({ workload, target, marks: why }) => `- ${target}, ${workload}: ${why.join('; ')}`,
  )
  return `# Benchmarks

Written by \`${facts.command}\` on ${facts.date}: ${cpus().length} × ${cpu}, ${memory} GiB, Node ${process.version}.
Medians of ${facts.rounds} round(s). Load generator and server share the machine, which others use too: compare
columns of one table, never wall-clock figures of two.

![CPU time of one request](benchmarks.svg)

What an acknowledgement means:

${contracts}

${markdownTable(facts.figures)}

- **CPU µs/op**: user and system time of all server processes for one request.
- **× empty**: that, in empty replies of a bare node:http server measured in the same rounds.
- **E**: the least CPU the request can cost (bench/src/limits.ts: empty reply, signature, MD5, CRC, receiving, sending,
  writing every copy; no metadata) ÷ measured CPU. 1 is out of reach.
- **against first**: CPU ÷ CPU of the first target in the same rounds, median and 95 % bootstrap interval.

${marks.length === 0 ? 'No round was marked.' : `Marked rounds:\n\n${marks.join('\n')}`}

## Probes of the run

${probesTable(facts.probes)}
`
}
