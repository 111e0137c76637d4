/** A seeded sample of each acceptance run that speaks S3 alone: of whatever layout is asked for. */
import { hasTool } from '../../src/harness/tools.js'
import { showBackups } from '../../src/show/backups.js'
import { showBadInput } from '../../src/show/bad-input.js'
import { showClients } from '../../src/show/clients.js'
import { showKeys } from '../../src/show/keys.js'
import { RACES_SAMPLE, showRaces } from '../../src/show/races.js'
import { sample } from './sample.js'

/** A cluster has many processes to start, some of them often. */
const TIMEOUT_MS = 600_000

describe('clients of a running system', function () {
  this.timeout(TIMEOUT_MS)

  it('keep awkward keys byte for byte', () => sample(showKeys))

  it('are refused bad input by its documented error, and nothing of it is stored', () =>
    sample((report) => showBadInput(report, 8 * 1024)))

  it('see one of many conditional writers win, whatever gets lost', () =>
    sample((report) => showRaces(report, RACES_SAMPLE)))

  it('get a tree back by aws-cli, s3cmd, rclone and the AWS SDK, and the space with it', async function () {
    for (const tool of ['aws', 's3cmd', 'rclone', 'curl']) if (!(await hasTool(tool))) this.skip()
    await sample((report) => showClients(report, 80))
  })

  it('get the backups of restic and the old versions of rclone back, over HTTPS', async function () {
    for (const tool of ['restic', 'rclone', 'openssl']) if (!(await hasTool(tool))) this.skip()
    await sample((report) => showBackups(report, { files: 40, schemes: ['https'] }))
  })
})
