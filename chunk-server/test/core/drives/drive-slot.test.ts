import { CairnError } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { openDrive } from '../../../src/core/drives/drive.js'
import { DriveSlot } from '../../../src/core/drives/drive-slot.js'
import type { DriveSource } from '../../../src/core/drives/drive-source.js'

describe('DriveSlot', () => {
  it('opens nothing where segments still go, and what is left once they stay', async () => {
    const random = createSeededRandom(6)
    const clock = createSimulatedClock(random)
    let opened = 0
    let segments = 3
    const source: DriveSource = {
      name: 'd',
      open: async () => {
        opened++
        throw new CairnError('DriveFailed', 'not now')
      },
      look: async () => ({ device: '1', parent: '1', hasDrive: true, segments }),
    }
    const open = { clusterId: 'c1', clock, random }
    const drive = await openDrive(source, open)
    const slot = new DriveSlot({ source, open, clock, onChange: () => undefined }, drive)
    const openedAt: number[] = []
    for (segments of [3, 2, 1, 1]) {
      await slot.tend()
      openedAt.push(opened)
    }
    expect(openedAt).to.deep.equal([1, 1, 1, 2])
    segments = 0
    await clock.advance(60_000)
    await slot.tend()
    expect(opened).to.equal(3)
  })
})
