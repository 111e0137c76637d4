import { CairnError } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { openDrive } from '../../../src/core/drives/drive.js'
import { DriveSlot } from '../../../src/core/drives/drive-slot.js'
import type { DriveSource } from '../../../src/core/drives/drive-source.js'
import { createSimulatedDisk, simulatedSegmentDrive } from '../../../src/simulation/index.js'

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

  it('begins nothing on a disk that does not answer, and opens it once it does', async () => {
    const random = createSeededRandom(8)
    const clock = createSimulatedClock(random)
    const disk = createSimulatedDisk({ clock, random, latencyMs: 0 })
    let opened = 0
    let answer: () => void = () => undefined
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    const source = simulatedSegmentDrive({ name: 'd', disk, clock, random })
    const hanging: DriveSource = {
      ...source,
      open: () => {
        opened++
        return source.open()
      },
      look: async () => {
        await answered
        return { device: '1', parent: '1', hasDrive: false, segments: 0 }
      },
    }
    const open = { clusterId: 'c1', clock, random }
    const drive = await clock.runUntil(openDrive(hanging, open))
    expect([drive.condition, drive.reason]).to.deep.equal(['failed', 'its disk does not answer'])
    const slot = new DriveSlot({ source: hanging, open, clock, onChange: () => undefined }, drive)
    const tending = slot.tend()
    await clock.advance(60_000)
    expect(opened).to.equal(0)
    answer()
    await clock.runUntil(tending)
    expect(slot.drive.condition).to.equal('up')
    await clock.runUntil(slot.close())
  })

  it('does not wait for segments to be read when it is closed', async () => {
    const random = createSeededRandom(7)
    const clock = createSimulatedClock(random)
    let released = 0
    const source: DriveSource = {
      name: 'd',
      open: async () => ({
        disk: createSimulatedDisk({ clock, random, latencyMs: 0 }),
        place: { path: 'd', device: '1', parent: '1' },
        openStore: (_drive, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new CairnError('ShuttingDown', 'closing')))
          }),
        release: () => {
          released++
        },
      }),
      look: async () => ({ device: '1', parent: '1', hasDrive: true, segments: 0 }),
    }
    const open = { clusterId: 'c1', clock, random }
    const failing = { ...source, open: () => Promise.reject(new CairnError('DriveFailed', 'not now')) }
    const slot = new DriveSlot(
      { source, open, clock, onChange: () => undefined },
      await openDrive(failing, open),
    )
    void slot.tend()
    await clock.advance(1_000)
    await clock.runUntil(slot.close())
    expect(released).to.equal(1)
  })
})
