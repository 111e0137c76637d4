/** A seeded sample of each acceptance run; `npm run show -- NAME` repeats it in full. */
import { hasTool } from '../src/harness/tools.js'
import { showBackups } from '../src/show/backups.js'
import { showBadInput } from '../src/show/bad-input.js'
import { showClients } from '../src/show/clients.js'
import { showDamage } from '../src/show/damage.js'
import { showKeys } from '../src/show/keys.js'
import { showKill } from '../src/show/kill.js'
import { showLargeFile } from '../src/show/large-file.js'
import { showPause } from '../src/show/pause.js'
import { RACES_SAMPLE, showRaces } from '../src/show/races.js'
import { showSyscalls } from '../src/show/syscalls.js'
import { sample } from './acceptance/sample.js'

const TIMEOUT_MS = 300_000

describe('a running server', function () {
  this.timeout(TIMEOUT_MS)

  it('keeps awkward keys byte for byte', () => sample(showKeys))

  it('loses nothing to kill -9 under load, in Complete and in start-up', () =>
    sample((report) => showKill(report, 12)))

  it('reads right bytes from damaged drives and counts the damage', () =>
    sample((report) => showDamage(report, 60)))

  it('refuses the commit of a gateway that was paused past its lease', () => sample(showPause))

  it('refuses bad input by its documented error and stores nothing of it', () =>
    sample((report) => showBadInput(report, 8 * 1024)))

  it('lets one of many conditional writers win, whatever gets lost', () =>
    sample((report) => showRaces(report, RACES_SAMPLE)))

  it('takes a large file by multipart in bounded memory', () =>
    sample((report) => showLargeFile(report, 96 * 1024 * 1024)))

  it('shares syncs between many writers', async function () {
    if (!(await hasTool('strace'))) this.skip()
    await sample(showSyscalls)
  })

  it('serves aws-cli, s3cmd, rclone and the AWS SDK, and gives the space back', async function () {
    for (const tool of ['aws', 's3cmd', 'rclone', 'curl']) if (!(await hasTool(tool))) this.skip()
    await sample((report) => showClients(report, 80))
  })

  it('holds the backups of restic and the old versions of rclone, over HTTPS', async function () {
    for (const tool of ['restic', 'rclone', 'openssl']) if (!(await hasTool(tool))) this.skip()
    await sample((report) => showBackups(report, { files: 40, schemes: ['https'] }))
  })
})
