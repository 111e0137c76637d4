import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { DiskImage } from '../../src/harness/disk-image.js'
import type { DiskChange, DiskRecord } from '../../src/harness/disk-log.js'
import { createSeeded } from '../../src/harness/seeded.js'

const ROOT = '/data'
const FILE = '/data/file'
const SEEDS = 60

let numbers = 0

function change(kind: DiskChange, facts: Partial<DiskRecord> = {}): DiskRecord {
  return {
    kind,
    descriptor: -1,
    error: 0,
    number: 0,
    atNs: 0n,
    offset: 0,
    path: '',
    other: '',
    data: Buffer.alloc(0),
    ...facts,
  }
}

const make = [change('mkdir', { path: ROOT }), change('open', { path: FILE, descriptor: 3, offset: 1 })]
const write = (text: string): DiskRecord => change('write', { descriptor: 3, data: Buffer.from(text) })

function sync(descriptor: number, error = 0): DiskRecord[] {
  const number = ++numbers
  return [change('begin', { descriptor, number }), change('end', { descriptor, number, error })]
}

const syncFolder = [change('open', { path: ROOT, descriptor: 4 }), ...sync(4)]

describe('DiskImage', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-image-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** What power cuts after these changes leave, over many seeds: the file's content, or `none`. */
  async function cuts(changes: readonly DiskRecord[]): Promise<Set<string>> {
    const found = new Set<string>()
    for (let seed = 0; seed < SEEDS; seed++) {
      const image = new DiskImage(ROOT)
      for (const each of changes) image.apply(each)
      const target = join(folder, String(seed))
      await image.write(target, createSeeded(seed))
      const isThere = readdirSync(target).includes('file')
      found.add(isThere ? readFileSync(join(target, 'file'), 'latin1') : 'none')
    }
    return found
  }

  it('keeps what was synced, with its name', async () => {
    expect(await cuts([...make, write('one'), ...sync(3), ...syncFolder])).to.deep.equal(new Set(['one']))
  })

  it('may lose a name whose folder was not synced', async () => {
    expect(await cuts([...make, write('one'), ...sync(3)])).to.deep.equal(new Set(['one', 'none']))
  })

  it('may lose or keep what was written after the sync began, or when it failed', async () => {
    const [begin, end] = sync(3) as [DiskRecord, DiskRecord]
    const late = [...make, ...syncFolder, begin, write('one'), end]
    expect(await cuts(late))
      .to.include('')
      .and.to.include('one')
    const failed = [...make, ...syncFolder, write('one'), ...sync(3, 5)]
    expect(await cuts(failed))
      .to.include('')
      .and.to.include('one')
  })

  it('keeps a rename whole or not at all', async () => {
    const temporary = '/data/temporary'
    const changes = [
      ...make,
      write('old'),
      ...sync(3),
      change('open', { path: temporary, descriptor: 5, offset: 1 }),
      change('write', { descriptor: 5, data: Buffer.from('new') }),
      ...sync(5),
      ...syncFolder,
      change('rename', { path: temporary, other: FILE }),
    ]
    expect(await cuts(changes)).to.deep.equal(new Set(['old', 'new']))
  })

  it('keeps a linked name with what was synced under the other', async () => {
    const draft = '/data/draft'
    const linked = [
      change('mkdir', { path: ROOT }),
      change('open', { path: draft, descriptor: 3, offset: 1 }),
      write('one'),
      ...sync(3),
      change('link', { path: draft, other: FILE }),
    ]
    expect(await cuts(linked)).to.deep.equal(new Set(['one', 'none']))
    const kept = [...linked, ...syncFolder, change('unlink', { path: draft })]
    expect(await cuts(kept)).to.deep.equal(new Set(['one']))
  })

  it('cuts a large write at the edges of sectors', async () => {
    const found = await cuts([...make, ...syncFolder, write('x'.repeat(2048))])
    const torn = [...found].filter((text) => text.includes('x') && text !== 'x'.repeat(2048))
    expect(torn.length).to.be.above(0)
    for (const text of torn) expect(text.replace(/(x{512})|(\0{512})/g, '')).to.equal('')
  })
})
