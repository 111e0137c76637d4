import { CairnError, type Unit } from '@cairn/protocol'
import { expect } from 'chai'
import type { StoredBlock } from '../../../src/ports.js'
import { blockId, codeOf, ownerOf, readRange, unitsOf } from '../../conformance/blocks.js'
import { World } from '../store/segment-world.js'

const never = new AbortController().signal
const BLOCK = blockId(1, 1)
const BODY = Buffer.alloc(4096, 5)
const OWNER = ownerOf('k')

describe('Puts that are handed over', () => {
  let world: World

  beforeEach(async () => {
    world = new World(1)
    await world.open()
    // The first put looks whether the drive has room.
    const first = blockId(2, 1)
    await world.run(world.store.put(first, OWNER, unitsOf(first, BODY), { signal: never }))
  })

  const unitOf = (block = BLOCK, body: Uint8Array = BODY): Unit => unitsOf(block, body)[0] as Unit

  /** The outcome; `false` if the store did not take it. */
  function put(unit: Unit, block = BLOCK, owner = OWNER): Promise<StoredBlock | CairnError> | false {
    let settle: (outcome: StoredBlock | CairnError) => void = () => undefined
    const outcome = new Promise<StoredBlock | CairnError>((resolve) => {
      settle = resolve
    })
    return world.store.putNow?.(block, owner, unit, settle) === true && outcome
  }

  it('are durable when they are settled, like all others', async () => {
    const stored = put(unitOf())
    expect(stored).to.not.equal(false)
    const { sizeBytes, hash } = (await world.run(Promise.resolve(stored))) as StoredBlock
    world.crash({ kind: 'lost' }, { loseIndex: true })
    await world.open()
    const other = await world.run(world.store.put(BLOCK, OWNER, unitsOf(BLOCK, BODY), { signal: never }))
    expect({ sizeBytes, hash: Buffer.from(hash) }).to.deep.equal({ ...other, hash: Buffer.from(other.hash) })
    expect(await world.run(readRange(world.store, BLOCK, { offset: 0, length: 4096 }))).to.deep.equal(BODY)
    const [found] = await world.run(world.store.find([BLOCK]))
    expect(found?.owner).to.deep.equal(OWNER)
  })

  it('are not begun with a unit that does not match its check, or without any bytes', () => {
    expect(() => put({ ...unitOf(), check: 1 })).to.throw(CairnError, 'check')
    expect(() => put(unitOf(blockId(1, 2)))).to.throw(CairnError, 'check')
    expect(() => put({ bytes: Buffer.alloc(0), check: 0 })).to.throw(CairnError, 'size')
    expect(() => put(unitOf(), BLOCK, ownerOf('k'.repeat(5000)))).to.throw(CairnError, 'size')
  })

  it('are not begun for a block that is there, or on its way', async () => {
    const first = put(unitOf())
    expect(put(unitOf())).to.equal(false)
    const other = Buffer.alloc(4096, 6)
    const waiting = world.store.put(BLOCK, OWNER, unitsOf(BLOCK, other), { signal: never })
    expect(await world.run(codeOf(waiting))).to.equal('BlockConflict')
    await first
    expect(put(unitOf())).to.equal(false)
  })

  it('tell of a drive that fails', async () => {
    world.disk.fail('sync', 1)
    const outcome = await world.run(Promise.resolve(put(unitOf())))
    expect((outcome as CairnError).code).to.equal('DriveFailed')
    expect(() => put(unitOf(blockId(1, 3)), blockId(1, 3))).to.throw(CairnError)
  })

  it('are waited for when the store closes', async () => {
    const stored = put(unitOf())
    await world.run(world.store.close())
    expect(await stored).to.include({ sizeBytes: 4096 })
  })
})
