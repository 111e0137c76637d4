/** A seeded sample of each acceptance run; `npm run show -- NAME` repeats it in full. */
import { hasTool } from '../src/harness/tools.js'
import { showDamage } from '../src/show/damage.js'
import { showKill } from '../src/show/kill.js'
import { showLargeFile } from '../src/show/large-file.js'
import { showPause } from '../src/show/pause.js'
import { showSyscalls } from '../src/show/syscalls.js'
import { sample } from './acceptance/sample.js'

const TIMEOUT_MS = 300_000

describe('a running server', function () {
  this.timeout(TIMEOUT_MS)

  it('loses nothing to kill -9 under load, in Complete and in start-up', () =>
    sample((report) => showKill(report, 12)))

  it('reads right bytes from damaged drives and counts the damage', () =>
    sample((report) => showDamage(report, 60)))

  it('refuses the commit of a gateway that was paused past its lease', () => sample(showPause))

  it('takes a large file by multipart in bounded memory', () =>
    sample((report) => showLargeFile(report, 96 * 1024 * 1024)))

  it('shares syncs between many writers', async function () {
    if (!(await hasTool('strace'))) this.skip()
    await sample(showSyscalls)
  })
})
