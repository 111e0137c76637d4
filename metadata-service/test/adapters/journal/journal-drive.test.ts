import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { JournalDrive } from '../../../src/adapters/journal/journal-drive.js'
import { makeFolder } from '../../../src/adapters/journal/journal-files.js'
import { JournalQueue } from '../../../src/adapters/journal/journal-queue.js'
import { createJournalWorld, type JournalWorld } from './journal-world.js'

describe('JournalDrive', () => {
  let world: JournalWorld
  let queue: JournalQueue
  let drive: JournalDrive
  let lost: unknown[]
  let number = 0

  const push = (count: number): void => {
    for (let at = 0; at < count; at++) {
      number++
      queue.push({ number, bytes: Buffer.from(`[frame ${number}]`) }, systemClock.monotonicMs())
    }
  }
  const written = (): string =>
    readdirSync(drive.copies)
      .map((name) => readFileSync(join(drive.copies, name), 'latin1'))
      .join('')

  beforeEach(async () => {
    world = createJournalWorld(1)
    queue = new JournalQueue()
    lost = []
    number = 0
    const folder = world.drives[0] ?? ''
    drive = new JournalDrive({ folder, clock: systemClock, queue, onLost: (_, error) => lost.push(error) })
    await makeFolder(drive.copies)
    drive.follow(queue.end, 'follows')
  })
  afterEach(async () => {
    await drive.close()
    world.discard()
  })

  it('writes what waits and knows up to where', async () => {
    push(3)
    await drive.flush()
    expect(drive.hasThrough(3)).to.equal(true)
    expect(written()).to.match(/\[frame 1\]\[frame 2\]\[frame 3\]$/)
  })

  it('does not count a write that it began before it was lost and came back', async () => {
    push(3)
    const writing = drive.flush()
    drive.lose('waits', new Error('too slow'))
    drive.follow(queue.end, 'joins')
    drive.joined()
    await writing
    expect(drive.neededFrom).to.equal(3)
    push(4)
    await drive.flush()
    expect(drive.hasThrough(7)).to.equal(true)
    expect(written()).to.match(/\[frame 4\]\[frame 5\]\[frame 6\]\[frame 7\]$/)
    expect(lost).to.have.length(1)
  })
})
