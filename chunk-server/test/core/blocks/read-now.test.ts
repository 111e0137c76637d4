import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, systemRandom } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { MemoryBlockIndex } from '../../../src/adapters/memory-block-index.js'
import { createNodeDisk } from '../../../src/adapters/node-disk.js'
import { openSegmentBlockStore, type SegmentBlockStore } from '../../../src/core/store/segment-block-store.js'
import type { DamageEvent } from '../../../src/ports.js'
import { blockId, ownerOf, unitsOf } from '../../conformance/blocks.js'
import { temporaryFolder } from '../../temporary-folder.js'

const never = new AbortController().signal
const BLOCK = blockId(1, 1)
const BODY = createSeededRandom(1).bytes(4096)
const RANGE = { offset: 100, length: 50 }

describe('Reads in the turn', () => {
  let folder: ReturnType<typeof temporaryFolder>
  let store: SegmentBlockStore
  let damage: DamageEvent[]

  beforeEach(async () => {
    folder = temporaryFolder()
    damage = []
    store = await openSegmentBlockStore({
      disk: createNodeDisk(folder.path, { durability: 'none' }),
      index: new MemoryBlockIndex(),
      clock: systemClock,
      random: systemRandom,
      durability: 'none',
      onDamage: (event) => damage.push(event),
    })
    await store.put(BLOCK, ownerOf('k'), unitsOf(BLOCK, BODY), { signal: never })
  })
  afterEach(async () => {
    await store.close()
    folder.remove()
  })

  it('give what a read gives later', async () => {
    const later = await store.get(BLOCK, RANGE, { signal: never })
    expect(store.getNow?.(BLOCK, RANGE)).to.deep.equal(later)
  })

  it('give what was just written, once its segment is open for reading', async () => {
    await store.get(BLOCK, RANGE, { signal: never })
    const next = blockId(1, 3)
    await store.put(next, ownerOf('k'), unitsOf(next, BODY), { signal: never })
    const units = store.getNow?.(next, { offset: 0, length: BODY.length })?.units ?? []
    expect(units.map(({ bytes }) => Buffer.from(bytes).equals(Buffer.from(BODY)))).to.deep.equal([true])
  })

  it('refuse what a read refuses', () => {
    expect(() => store.getNow?.(blockId(1, 2), RANGE)).to.throw('does not hold')
    expect(() => store.getNow?.(BLOCK, { offset: 4000, length: 97 })).to.throw('no bytes')
  })

  it('never hand out a unit that does not match its check, and tell of it', async () => {
    await store.get(BLOCK, RANGE, { signal: never })
    const file = segmentFile(folder.path)
    const bytes = readFileSync(file)
    const at = bytes.indexOf(Buffer.from(BODY))
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    writeFileSync(file, bytes, { flag: 'r+' })
    expect(() => store.getNow?.(BLOCK, RANGE)).to.throw('corrupt')
    expect(damage).to.have.length(1)
  })
})

/** The one that holds a body. */
function segmentFile(root: string): string {
  const names = readdirSync(root, { recursive: true, withFileTypes: true })
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const found = files.find((path) => readFileSync(path).includes(Buffer.from(BODY)))
  if (found === undefined) throw new Error('no file holds the block')
  return found
}
