/** Samples of `npm run show -- heal`, `replace` and `returning-drive`. */
import { showHeal } from '../../src/show/heal.js'
import { showReplace } from '../../src/show/replace.js'
import { showReturningDrive } from '../../src/show/returning-drive.js'
import { sample } from './sample.js'

const TIMEOUT_MS = 300_000

describe('repair', function () {
  this.timeout(TIMEOUT_MS)

  it('heals what rots unread', () => sample((report) => showHeal(report, 40)))

  it('fills the place of a drive whose folder is deleted under load', () =>
    sample((report) => showReplace(report, 12)))

  it('brings nothing back and loses nothing when an old drive returns', () =>
    sample((report) => showReturningDrive(report, 30)))
})
