/** A sample of `npm run show -- recover`. */
import { expect } from 'chai'
import { showRecover } from '../../src/show/recover.js'
import { createReport } from '../../src/show/report.js'

const TIMEOUT_MS = 180_000
const LOAD_MS = 1_500

describe('a server without its metadata', function () {
  this.timeout(TIMEOUT_MS)

  it('gets all but the last second back from the drives, and all from a backup', async () => {
    const lines: string[] = []
    const report = createReport((line) => lines.push(line))
    await showRecover(report, LOAD_MS)
    expect(report.failures, `\n${lines.join('\n')}`).to.equal(0)
  })
})
