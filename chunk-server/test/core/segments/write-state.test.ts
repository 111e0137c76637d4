/** When a store looks how much room there is: others write to the disk too. */
import { CairnError } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { WriteState } from '../../../src/core/segments/write-state.js'
import { createSimulatedDisk, type SimulatedDisk } from '../../../src/simulation/simulated-disk.js'

const MEBIBYTE = 1024 * 1024
const RESERVE_BYTES = MEBIBYTE

function codeOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => 'none',
    (error: unknown) => (error instanceof CairnError ? error.code : String(error)),
  )
}

describe('WriteState', () => {
  let clock: SimulatedClock
  let disk: SimulatedDisk
  let state: WriteState
  let offset: number

  beforeEach(() => {
    const random = createSeededRandom(3)
    clock = createSimulatedClock(random)
    disk = createSimulatedDisk({ random, clock })
    disk.setCapacity(9 * MEBIBYTE)
    state = new WriteState(disk, { durability: 'none', reserveBytes: RESERVE_BYTES })
    offset = 0
  })

  /** Writes so much; the code of the error, or `none`. */
  async function write(sizeBytes: number): Promise<string> {
    return clock.runUntil(codeOf(append(sizeBytes)))
  }

  async function append(sizeBytes: number): Promise<void> {
    const file = (await disk.open('file', 'write')) ?? (await disk.open('file', 'create'))
    if (file === undefined) throw new Error('no file')
    try {
      await state.write(file, [Buffer.alloc(sizeBytes)], offset)
      offset += sizeBytes
    } finally {
      await file.close()
    }
  }

  const ask = (): Promise<string> => clock.runUntil(codeOf(state.assertRoom(4096)))

  it('looks again after a part of the room that it found, the sooner the less there was', async () => {
    expect(await ask()).to.equal('none')
    expect(await write(MEBIBYTE - 4096)).to.equal('none')
    expect(state.mustLook(4096)).to.equal(false)
    expect(await write(4096)).to.equal('none')
    expect(state.mustLook(4096)).to.equal(true)
    disk.setCapacity(3 * MEBIBYTE)
    expect(await ask()).to.equal('none')
    expect(await write(MEBIBYTE / 8)).to.equal('none')
    expect(state.mustLook(4096)).to.equal(true)
  })

  it('looks again after the disk was full, and leaves what is freed then to others', async () => {
    expect(await ask()).to.equal('none')
    disk.setCapacity(4096)
    expect(await write(8192)).to.equal('DriveFull')
    disk.setCapacity(RESERVE_BYTES)
    expect(state.mustLook(4096)).to.equal(true)
    expect(await ask()).to.equal('DriveFull')
    disk.setCapacity(9 * MEBIBYTE)
    expect(await ask()).to.equal('none')
    expect(await write(8192)).to.equal('none')
  })
})
