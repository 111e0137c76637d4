import type { BlockId } from '@cairn/protocol'
import { expect } from 'chai'
import { KnownBlocks } from '../../src/blocks/known-blocks.js'
import { KNOWN_BLOCKS_MAX } from '../../src/limits.js'

function blockId(number: number): BlockId {
  const id = Buffer.alloc(16)
  id.writeUInt32BE(number, 12)
  return id as Uint8Array as BlockId
}

describe('KnownBlocks', () => {
  it('knows the check words of a block by its id and its hash', () => {
    const known = new KnownBlocks()
    const hash = Buffer.alloc(32, 1)
    known.remember(blockId(1), hash, [7, 0xffff_ffff])
    hash.fill(2)
    expect([...(known.find(blockId(1), Buffer.alloc(32, 1)) ?? [])]).to.deep.equal([7, 0xffff_ffff])
    expect(known.find(blockId(1), Buffer.alloc(32, 2))).to.equal(undefined)
    expect(known.find(blockId(2), Buffer.alloc(32, 1))).to.equal(undefined)
  })

  it('forgets the block that was remembered first when there are too many', () => {
    const known = new KnownBlocks()
    const hash = Buffer.alloc(32, 1)
    for (let number = 0; number <= KNOWN_BLOCKS_MAX; number++) known.remember(blockId(number), hash, [number])
    expect(known.find(blockId(0), hash)).to.equal(undefined)
    expect(known.find(blockId(1), hash)).not.to.equal(undefined)
    expect(known.find(blockId(KNOWN_BLOCKS_MAX), hash)).not.to.equal(undefined)
  })
})
