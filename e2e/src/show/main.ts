/** `npm run show -- NAME`: repeats one acceptance run, or `all`; prints measured and floor, exits 1 below it. */
import { createReport } from './report.js'
import { RUNS } from './runs.js'

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

const [name = '', ...rest] = process.argv.slice(2)
const names = name === 'all' ? [...RUNS.keys()] : [name]
if (rest.length > 0 || names.some((known) => !RUNS.has(known))) {
  process.stderr.write(
    `usage: npm run show -- NAME, with NAME one of ${[...RUNS.keys(), 'all'].join(', ')}\n`,
  )
  process.exit(2)
}
// Acceptance runs explore; the sample in `npm test` repeats one seed.
process.env.CAIRN_TEST_SEED ??= String(Date.now() % 1_000_000)
let failures = 0
for (const each of names) {
  const report = createReport(say)
  if (names.length > 1) say(`\n${each}`)
  await RUNS.get(each)?.(report)
  failures += report.failures
}
process.exitCode = failures > 0 ? 1 : 0
