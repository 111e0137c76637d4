/** A seeded sample of the runs that break disks; `npm run show -- NAME` repeats each in full. */
import { canMountLoop } from '../../src/harness/loop-mount.js'
import { hasTool } from '../../src/harness/tools.js'
import { showBitRot } from '../../src/show/bit-rot.js'
import { showFaults } from '../../src/show/faults.js'
import { showFullDriveSample } from '../../src/show/full-drive.js'
import { showPowerCut } from '../../src/show/power-cut.js'
import { sample } from './sample.js'

const TIMEOUT_MS = 300_000

describe('a server on a disk that fails', function () {
  this.timeout(TIMEOUT_MS)

  it('loses nothing to SIGKILL, EIO, ENOSPC and short writes at single calls', async function () {
    if (!(await hasTool('gcc')) || !(await hasTool('strace')) || !(await canMountLoop())) this.skip()
    await sample((report) => showFaults(report, 8))
  })

  it('loses nothing to power cuts', async function () {
    if (!(await hasTool('gcc'))) this.skip()
    await sample((report) => showPowerCut(report, { rounds: 3, runMs: 1500 }))
  })

  it('gives right bytes or named errors whatever file is damaged', () =>
    sample((report) => showBitRot(report, 8)))

  it('refuses writes on a full disk, and goes on when space is freed', async function () {
    if (!(await canMountLoop())) this.skip()
    await sample(showFullDriveSample)
  })
})
