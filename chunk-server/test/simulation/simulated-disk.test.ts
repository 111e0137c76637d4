import { systemClock } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import type { DiskFile } from '../../src/ports.js'
import { type CrashChoice, createSimulatedDisk, type SimulatedDisk } from '../../src/simulation/index.js'
import { codeOf } from '../conformance/blocks.js'
import { describeDisk } from '../conformance/disk.js'

describeDisk('SimulatedDisk', async () => ({
  disk: createSimulatedDisk({ clock: systemClock, random: createSeededRandom(1) }),
  dispose: async () => undefined,
}))

describe('SimulatedDisk', () => {
  const random = createSeededRandom(7)
  let disk: SimulatedDisk
  beforeEach(() => {
    disk = createSimulatedDisk({ clock: systemClock, random, capacityBytes: 100_000 })
  })

  async function create(path: string): Promise<DiskFile> {
    const file = await disk.open(path, 'create')
    if (file === undefined) throw new Error('not created')
    return file
  }
  const after = (choice: CrashChoice, path: string) => {
    const content = disk.fork(choice).peek(path)
    return content === undefined ? undefined : Buffer.from(content).toString()
  }

  it('keeps after a crash what was synced, in a folder that was synced', async () => {
    const file = await create('a')
    await file.write([Buffer.from('one')], 0)
    expect(after({ kind: 'lost' }, 'a')).to.equal(undefined)
    expect(after({ kind: 'kept' }, 'a')).to.equal('one')
    await file.sync()
    expect(after({ kind: 'lost' }, 'a')).to.equal(undefined)
    await disk.syncFolder('')
    await file.write([Buffer.from('two')], 3)
    expect(after({ kind: 'lost' }, 'a')).to.equal('one')
    expect(after({ kind: 'torn', keptBytes: 1 }, 'a')).to.equal('onet')
  })

  it('keeps an entry without its data where only the folder was synced', async () => {
    const file = await create('a')
    await file.write([Buffer.from('data')], 0)
    await disk.syncFolder('')
    expect(after({ kind: 'lost' }, 'a')).to.equal('')
  })

  it('loses a folder that its parent never synced, with all that is in it', async () => {
    await disk.makeFolder('segments')
    const file = await create('segments/a')
    await file.sync()
    await disk.syncFolder('segments')
    expect(after({ kind: 'lost' }, 'segments/a')).to.equal(undefined)
    await disk.syncFolder('')
    expect(after({ kind: 'lost' }, 'segments/a')).to.equal('')
  })

  it('brings a file back whose removal was not synced, and undoes such a renaming', async () => {
    disk.poke('a', Buffer.from('old'))
    disk.poke('b', Buffer.from('gone'))
    await disk.rename('a', 'c')
    await disk.remove('b')
    const left = disk.fork({ kind: 'lost' })
    expect(await left.list('')).to.deep.equal(['a', 'b'])
    expect(await disk.fork({ kind: 'kept' }).list('')).to.deep.equal(['c'])
    await disk.syncFolder('')
    expect(await disk.fork({ kind: 'lost' }).list('')).to.deep.equal(['c'])
  })

  it('loses single operations by number', async () => {
    const file = await create('a')
    await file.sync()
    await disk.syncFolder('')
    await file.write([Buffer.from('12')], 0)
    await file.write([Buffer.from('34')], 2)
    const [first, second] = disk.unsynced()
    expect(after({ kind: 'without', operation: first ?? 0 }, 'a')).to.equal('\0\x0034')
    expect(after({ kind: 'without', operation: second ?? 0 }, 'a')).to.equal('12')
  })

  it('keeps random pieces of a write at the given grain', async () => {
    const file = await create('a')
    await disk.syncFolder('')
    await file.write([Buffer.alloc(8192, 1)], 100)
    const sums = new Set<number>()
    for (let round = 0; round < 50; round++) {
      const left = disk.fork({ kind: 'subset', random, grainBytes: 512 }).peek('a') ?? Buffer.alloc(0)
      for (let at = 512; at < left.length; at++) {
        if (at % 512 !== 0) expect(left[at]).to.equal(left[at - 1])
      }
      sums.add(left.reduce((sum, byte) => sum + byte, 0))
    }
    expect(sums.size).to.be.above(10)
  })

  it('promises nothing for a write that was under way when the sync began', async () => {
    const file = await create('a')
    await disk.syncFolder('')
    await Promise.all([file.write([Buffer.from('late')], 0), file.sync()])
    expect(after({ kind: 'lost' }, 'a')).to.equal('')
  })

  it('fills up with a short write, then says so', async () => {
    const file = await create('a')
    expect(await codeOf(file.write([Buffer.alloc(100_001)], 0))).to.equal('DriveFull')
    expect(await file.size()).to.equal(100_000)
    expect(await disk.space()).to.deep.equal({ capacityBytes: 100_000, freeBytes: 0 })
    await file.write([Buffer.alloc(1000, 1)], 0)
    await file.close()
    await disk.remove('a')
    expect((await disk.space()).freeBytes).to.equal(100_000)
  })

  it('never makes durable what a failed sync covered', async () => {
    const file = await create('a')
    await disk.syncFolder('')
    await file.write([Buffer.from('data')], 0)
    disk.fail('sync', 1)
    expect(await codeOf(file.sync())).to.equal('DriveFailed')
    await file.sync()
    expect(disk.syncsAfterFailure).to.equal(1)
    expect(after({ kind: 'lost' }, 'a')).to.equal('')
    expect(after({ kind: 'kept' }, 'a')).to.equal('data')
  })

  it('fails the nth operation of a kind, once or for good', async () => {
    disk.fail('rename', 2)
    disk.fail('remove', 1, { lasting: true, pathEnd: '.seg' })
    disk.poke('a', Buffer.from('x'))
    await disk.rename('a', 'b')
    expect(await codeOf(disk.rename('b', 'c'))).to.equal('DriveFailed')
    await disk.rename('b', 'c')
    await disk.remove('c')
    expect(await codeOf(disk.remove('x.seg'))).to.equal('DriveFailed')
    expect(await codeOf(disk.remove('x.seg'))).to.equal('DriveFailed')
    expect(disk.count('rename')).to.equal(3)
  })

  it('answers nothing any more once the power is cut, and the new disk knows what was left', async () => {
    const file = await create('a')
    await disk.syncFolder('')
    const writing = file.write([Buffer.from('data')], 0)
    const left = disk.crash({ kind: 'kept' })
    expect(await codeOf(writing)).to.equal('DriveFailed')
    expect(await codeOf(disk.list(''))).to.equal('DriveFailed')
    expect(Buffer.from(left.peek('a') ?? []).toString()).to.equal('data')
  })

  it('notices a buffer that changes while it is written', async () => {
    const file = await create('a')
    const bytes = Buffer.from('data')
    const writing = file.write([bytes], 0)
    bytes.fill(0)
    expect(await codeOf(writing)).to.match(/bytes changed/)
  })

  it('flips stored bytes for every reader and every later crash', async () => {
    disk.poke('a', Buffer.from('A'))
    disk.flip('a', 0, 0x20)
    expect(Buffer.from((await disk.readSmall('a')) ?? []).toString()).to.equal('a')
    expect(after({ kind: 'lost' }, 'a')).to.equal('a')
  })

  it('completes in another order with another seed, and in the same with the same', async () => {
    async function order(seed: number): Promise<string> {
      const seeded = createSeededRandom(seed)
      const clock = createSimulatedClock(seeded)
      const other = createSimulatedDisk({ clock, random: seeded, latencyMs: 5 })
      const done: number[] = []
      const all = Array.from({ length: 8 }, async (_, at) => {
        await other.replace(`f${at}`, Buffer.from('x'))
        done.push(at)
      })
      await clock.runUntil(Promise.all(all))
      return done.join()
    }
    expect(await order(1)).to.equal(await order(1))
    expect(new Set(await Promise.all([order(1), order(2), order(3), order(4)])).size).to.be.above(1)
  })

  it('replaces a file again after a power cut at any moment of the first time', async () => {
    const crashed: SimulatedDisk[] = []
    disk.onOperation = () => crashed.push(disk.fork({ kind: 'kept' }))
    await disk.replace('drive.json', Buffer.from('new'))
    expect(crashed.length).to.be.above(4)
    for (const left of crashed) {
      await left.replace('drive.json', Buffer.from('newer'))
      expect(await left.list('')).to.deep.equal(['drive.json'])
    }
  })

  for (const kind of ['lost', 'kept', 'subset', 'torn'] as const) {
    it(`replaces a file by the old or the new one, whole, wherever the power goes (${kind})`, async () => {
      disk.poke('drive.json', Buffer.from('old'))
      const choices: Record<typeof kind, CrashChoice> = {
        lost: { kind: 'lost' },
        kept: { kind: 'kept' },
        subset: { kind: 'subset', random, grainBytes: 512 },
        torn: { kind: 'torn', keptBytes: 1 },
      }
      const seen = new Set<string | undefined>()
      disk.onOperation = () => seen.add(after(choices[kind], 'drive.json'))
      await disk.replace('drive.json', Buffer.from('new'))
      disk.onOperation = undefined
      for (const content of seen) expect(content).to.be.oneOf(['old', 'new'])
      expect(after({ kind: 'lost' }, 'drive.json')).to.equal('new')
    })
  }
})
