import type { OpId, SpaceId } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import {
  currentKey,
  currentRange,
  garbageKey,
  garbageRange,
  keyOfCurrent,
  olderKey,
  olderRange,
  parseOlderKey,
  parseUploadKey,
  partKey,
  partNumberOfKey,
  partRange,
  successorOfPrefix,
  uploadKey,
} from '../../../src/core/rows/keys.js'
import { formatVersionId, parseVersionId } from '../../../src/core/rows/keys-version-id.js'
import type { StoreKey, StoreRange } from '../../../src/ports.js'

const random = createSeededRandom(3)
const space = random.bytes(8) as SpaceId
const op = random.bytes(16) as OpId
const other = random.bytes(16) as OpId

const isIn = (key: StoreKey, { from, to }: StoreRange): boolean =>
  Buffer.compare(key, from) >= 0 && Buffer.compare(key, to) < 0

describe('keys', () => {
  it('round-trips keys of every plane', () => {
    for (const key of ['a', 'é/\u{10ffff}', '..', 'a\x01b', 'k'.repeat(1024)]) {
      expect(keyOfCurrent(currentKey(space, key))).to.equal(key)
      const older = parseOlderKey(olderKey(space, key, 1_800_000_000_000_000, op))
      expect({ ...older, op: Buffer.from(older.op) }).to.deep.equal({
        key,
        seq: 1_800_000_000_000_000,
        op: Buffer.from(op),
      })
      expect(parseUploadKey(uploadKey(space, key, 5, op))).to.include({ key, initiatedMicros: 5 })
    }
  })

  it('orders current rows by the bytes of their keys, not by UTF-16', () => {
    const keys = ['a', 'a/', 'a/b', 'b', '\uffee', '\u{10000}']
    const rows = keys.map((key) => currentKey(space, key))
    expect([...rows].sort(Buffer.compare)).to.deep.equal(rows)
  })

  it('orders versions newest first and keeps those of one key apart from all others', () => {
    const rows = [9, 8, 256, 1].sort((a, b) => b - a).map((seq) => olderKey(space, 'a', seq, op))
    expect([...rows].sort(Buffer.compare)).to.deep.equal(rows)
    const range = olderRange(space, 'a')
    for (const row of rows) expect(isIn(row, range)).to.equal(true)
    for (const key of ['a\x01', 'aa', 'A', 'a/']) {
      expect(isIn(olderKey(space, key, 9, other), range)).to.equal(false)
    }
  })

  it('ends prefix ranges tightly, also behind 0xff', () => {
    expect([...successorOfPrefix(Uint8Array.of(1, 0xff, 0xff))]).to.deep.equal([2])
    expect(() => successorOfPrefix(Uint8Array.of(0xff))).to.throw(RangeError)
    const full = new Uint8Array(8).fill(0xff) as SpaceId
    expect(isIn(currentKey(full, '\u{10ffff}'), currentRange(full))).to.equal(true)
  })

  it('orders garbage by age and parts by number', () => {
    expect(isIn(garbageKey(9, op), garbageRange(10))).to.equal(true)
    expect(isIn(garbageKey(10, op), garbageRange(10))).to.equal(false)
    const parts = [1, 2, 256, 10_000].map((number) => partKey(op, number))
    expect([...parts].sort(Buffer.compare)).to.deep.equal(parts)
    expect(parts.map(partNumberOfKey)).to.deep.equal([1, 2, 256, 10_000])
    for (const part of parts) expect(isIn(part, partRange(op))).to.equal(true)
  })

  it('takes only its own form for a version id', () => {
    const stamp = { seq: 1_800_000_000_000_000, op }
    const text = formatVersionId(stamp)
    expect(parseVersionId(text)?.seq).to.equal(stamp.seq)
    for (const wrong of ['', 'null', text.toUpperCase(), `${text}00`, 'f'.repeat(48)]) {
      if (wrong !== text) expect(parseVersionId(wrong)).to.equal(undefined)
    }
  })
})
