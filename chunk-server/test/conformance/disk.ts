/** What every `Disk` promises (see ports.ts). */
import { allocateAligned, DIRECT_BYTES } from '@cairn/protocol'
import { expect } from 'chai'
import type { Disk } from '../../src/ports.js'
import { codeOf } from './blocks.js'

export function describeDisk(
  name: string,
  open: () => Promise<{ disk: Disk; dispose: () => Promise<void> }>,
): void {
  describe(`${name} as a Disk`, () => {
    let disk: Disk
    let dispose: () => Promise<void>

    async function create(path: string, content: string): Promise<void> {
      const file = await disk.open(path, 'create')
      await file?.write([Buffer.from(content)], 0)
      await file?.sync()
      await file?.close()
    }
    const textOf = async (path: string) => {
      const content = await disk.readSmall(path)
      return content === undefined ? undefined : Buffer.from(content).toString()
    }

    beforeEach(async () => {
      ;({ disk, dispose } = await open())
    })
    afterEach(() => dispose())

    it('writes many buffers at an offset and reads them back in pieces', async () => {
      const file = await disk.open('a.seg', 'create')
      const buffers = Array.from({ length: 1500 }, (_, at) => Buffer.alloc(at % 7, at & 0xff))
      const whole = Buffer.concat(buffers)
      await file?.write(buffers, 100)
      await file?.write([], 0)
      await file?.write([Buffer.alloc(0)], 0)
      expect(await file?.size()).to.equal(100 + whole.length)
      const into = Buffer.alloc(whole.length + 50)
      expect(await file?.read(into, 100)).to.equal(whole.length)
      expect(into.subarray(0, whole.length).equals(whole)).to.equal(true)
      expect(await file?.read(into, 100 + whole.length)).to.equal(0)
      await file?.close()
      const again = await disk.open('a.seg', 'read')
      expect(await again?.read(Buffer.alloc(10), 95)).to.equal(10)
      await again?.close()
    })

    it('writes whole pages past the page cache, or as ever where it cannot, and reads them back', async () => {
      const pages = allocateAligned(3 * DIRECT_BYTES)
      for (let at = 0; at < pages.length; at++) pages[at] = at % 251
      const file = await disk.open('a.seg', 'createDirect')
      await file?.write([pages.subarray(0, DIRECT_BYTES), pages.subarray(DIRECT_BYTES)], DIRECT_BYTES)
      await file?.write([pages.subarray(0, DIRECT_BYTES)], 0)
      await file?.sync()
      await file?.close()
      const written = Buffer.concat([pages.subarray(0, DIRECT_BYTES), pages])
      expect(Buffer.from((await disk.readSmall('a.seg')) ?? []).equals(written)).to.equal(true)
      expect(await disk.list('')).to.deep.equal(['a.seg'])
      expect(await codeOf(disk.open('a.seg', 'createDirect'))).to.equal('Internal')
    })

    it('opens a missing file as undefined and refuses to create an existing one', async () => {
      expect(await disk.open('none', 'read')).to.equal(undefined)
      expect(await disk.open('none', 'write')).to.equal(undefined)
      await create('there', 'x')
      expect(await codeOf(disk.open('there', 'create'))).to.equal('Internal')
      expect(await textOf('there')).to.equal('x')
    })

    it('replaces a small file whole and leaves no temporary file', async () => {
      await disk.replace('drive.json', Buffer.from('one, which is longer'))
      await disk.replace('drive.json', Buffer.from('two'))
      expect(await textOf('drive.json')).to.equal('two')
      expect(await disk.list('')).to.deep.equal(['drive.json'])
      expect(await disk.readSmall('none')).to.equal(undefined)
    })

    it('lists, renames and removes inside a folder', async () => {
      await disk.makeFolder('segments')
      await disk.makeFolder('segments')
      await create('segments/b', 'b')
      await create('segments/a', 'a')
      await disk.rename('segments/a', 'segments/c')
      await disk.remove('segments/b')
      await disk.remove('segments/b')
      await disk.syncFolder('segments')
      await disk.syncFolder('')
      expect(await disk.list('segments')).to.deep.equal(['c'])
      expect(await textOf('segments/c')).to.equal('a')
    })

    it('calls a missing folder a failed drive, never an empty one', async () => {
      expect(await codeOf(disk.list('segments'))).to.equal('DriveFailed')
      expect(await codeOf(disk.open('segments/a', 'create'))).to.equal('DriveFailed')
      expect(await codeOf(disk.rename('a', 'b'))).to.equal('DriveFailed')
    })

    it('refuses paths that lead out of the drive', async () => {
      for (const path of [
        '/etc/x',
        '../x',
        'a/../b',
        'a/b/c',
        '.',
        '..',
        'a//b',
        'a\0b',
        '',
        'x'.repeat(200),
      ]) {
        expect(await codeOf(Promise.resolve().then(() => disk.open(path, 'create')))).to.equal(
          'InvalidArgument',
        )
        expect(await codeOf(Promise.resolve().then(() => disk.remove(path)))).to.equal('InvalidArgument')
      }
    })

    it('refuses calls on a closed file, and finishes those under way', async () => {
      const file = await disk.open('a', 'create')
      if (file === undefined) throw new Error('no file')
      const writing = file.write([Buffer.alloc(100_000, 1)], 0)
      await file.close()
      await writing
      await file.close()
      expect(await codeOf(file.read(Buffer.alloc(1), 0))).to.equal('Internal')
      expect((await disk.readSmall('a'))?.length).to.equal(100_000)
    })

    it('reports its space', async () => {
      const { capacityBytes, freeBytes } = await disk.space()
      expect(capacityBytes).to.be.at.least(freeBytes)
      expect(freeBytes).to.be.above(0)
    })
  })
}
