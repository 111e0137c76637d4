/** `npm run show -- NAME`: repeats one acceptance run, prints measured and floor, exits 1 below it. */
import { createReport } from './report.js'
import { RUNS } from './runs.js'

const [name, ...rest] = process.argv.slice(2)
const run = RUNS.get(name ?? '')
if (run === undefined || rest.length > 0) {
  process.stderr.write(`usage: npm run show -- NAME, with NAME one of ${[...RUNS.keys()].join(', ')}\n`)
  process.exitCode = 2
} else {
  const report = createReport((line) => process.stdout.write(`${line}\n`))
  await run(report)
  process.exitCode = report.failures > 0 ? 1 : 0
}
