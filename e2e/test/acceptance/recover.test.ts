/** A sample of `npm run show -- recover`. */
import { showRecover } from '../../src/show/recover.js'
import { sample } from './sample.js'

const TIMEOUT_MS = 180_000
const LOAD_MS = 1_500

describe('a server without its metadata', function () {
  this.timeout(TIMEOUT_MS)

  it('gets all but the last second back from the drives, and all from a backup', () =>
    sample((report) => showRecover(report, LOAD_MS)))
})
