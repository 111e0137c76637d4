import { type BlockId, type BlockOwner, CairnError, type OpId, type SpaceId } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { uploadKey } from '../../../src/core/rows/keys.js'
import { UploadRow, VersionRow } from '../../../src/core/rows/rows.js'
import { UPLOADS_OF_KEY_MAX } from '../../../src/core/upkeep/orphans.js'
import { judgeBlock } from '../../../src/core/upkeep/repair-judgement.js'
import type { StoreRow } from '../../../src/ports.js'

const random = createSeededRandom(11)
const block = random.bytes(16) as BlockId
const owner: BlockOwner = {
  space: random.bytes(16) as SpaceId,
  bucket: 'b',
  key: 'k',
  map: random.bytes(16) as OpId,
}

function rowOf(key: Uint8Array, value: Uint8Array): StoreRow {
  return { key, value, revision: 1, created: 1 }
}

/** The current version of the key, whose map is the owner's; `named`: the block is in it. */
function version(named: boolean): StoreRow {
  const slices = named ? [{ block, offset: 0, length: 9, blockBytes: 9, hash: Buffer.alloc(32) }] : []
  const value = VersionRow.encode({
    seq: 1,
    op: owner.map,
    isNull: false,
    deleteMarker: false,
    modifiedMs: 1,
    sizeBytes: 9,
    etag: 'e',
    owner: 'o',
    attributes: {},
    parts: [],
    map: { pool: 1, slices, pages: [] },
    mapId: owner.map,
    references: [],
    applied: [],
  })
  return rowOf(Buffer.from('o'), value)
}

/** So many uploads of the key; the first is the owner's if `own`. */
function uploads(count: number, own = false): StoreRow[] {
  return Array.from({ length: count }, (_, at) => {
    const op = own && at === 0 ? owner.map : (random.bytes(16) as OpId)
    const row = { op, bucket: 'b', initiatedMs: 1, owner: 'o', attributes: {}, state: 'open' as const }
    return rowOf(uploadKey(owner.space, owner.key, at, op), UploadRow.encode({ ...row, formerFreezes: [] }))
  })
}

describe('a block whose key has more uploads than are looked at', () => {
  const many = uploads(UPLOADS_OF_KEY_MAX)

  it('is live if the object names it, and is repaired', () => {
    expect(judgeBlock(block, owner, [[version(true)], [], many])).to.equal('live')
  })

  it('is live if one of the uploads that were seen is its own', () => {
    expect(judgeBlock(block, owner, [[], [], uploads(UPLOADS_OF_KEY_MAX, true)])).to.equal('live')
  })

  it('is unknown if nothing that was seen names it', () => {
    expect(judgeBlock(block, owner, [[], [], many])).to.equal('unknown')
    expect(judgeBlock(block, owner, [[version(false)], [], many])).to.equal('unknown')
  })
})

describe('a block whose key has few uploads', () => {
  it('is live, or dead, by what names it', () => {
    expect(judgeBlock(block, owner, [[version(true)], [], uploads(3)])).to.equal('live')
    expect(judgeBlock(block, owner, [[], [], uploads(3, true)])).to.equal('live')
    expect(judgeBlock(block, owner, [[version(false)], [], uploads(3)])).to.equal('dead')
    expect(judgeBlock(block, owner, [[], [], uploads(3)])).to.equal('dead')
  })

  it('is not judged by a row that cannot be read', () => {
    const damaged = rowOf(Buffer.from('o'), Buffer.from([1, 2]))
    expect(() => judgeBlock(block, owner, [[damaged], [], []])).to.throw(CairnError)
  })
})
