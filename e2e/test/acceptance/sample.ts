import { expect } from 'chai'
import { createReport, type Report } from '../../src/show/report.js'

/**
 * Runs an acceptance run, or a smaller one; fails with all it has printed if a line is below its floor. What a clock
 * has measured fails nothing here, where others share the machine: a floor that it misses is printed.
 */
export async function sample(run: (report: Report) => Promise<void>): Promise<void> {
  const lines: string[] = []
  const report = createReport((line) => lines.push(line), {
    times: 'printed',
    onMissed: (line) => process.stdout.write(`      ${line}\n`),
  })
  await run(report)
  expect(report.failures, `\n${lines.join('\n')}`).to.equal(0)
}
