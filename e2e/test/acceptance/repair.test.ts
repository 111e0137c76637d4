/** Samples of `npm run show -- heal`, `replace` and `returning-drive`. */
import { expect } from 'chai'
import { showHeal } from '../../src/show/heal.js'
import { showReplace } from '../../src/show/replace.js'
import { createReport, type Report } from '../../src/show/report.js'
import { showReturningDrive } from '../../src/show/returning-drive.js'

const TIMEOUT_MS = 300_000

async function sample(run: (report: Report) => Promise<void>): Promise<void> {
  const lines: string[] = []
  const report = createReport((line) => lines.push(line))
  await run(report)
  expect(report.failures, `\n${lines.join('\n')}`).to.equal(0)
}

describe('repair', function () {
  this.timeout(TIMEOUT_MS)

  it('heals what rots unread', () => sample((report) => showHeal(report, 40)))

  it('fills the place of a drive whose folder is deleted under load', () =>
    sample((report) => showReplace(report, { objects: 12, floors: false })))

  it('brings nothing back and loses nothing when an old drive returns', () =>
    sample((report) => showReturningDrive(report, 30)))
})
