import { CairnError, type OpId } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { readListedObject, readListedVersion } from '../../../src/core/listing/listing-row.js'
import { VersionRow } from '../../../src/core/rows/rows.js'

const random = createSeededRandom(5)
const row: VersionRow = {
  seq: 1_800_000_000_000_000,
  op: random.bytes(16) as OpId,
  isNull: false,
  deleteMarker: false,
  modifiedMs: 1_800_000_000_000,
  sizeBytes: 2 ** 40,
  etag: 'é',
  owner: 'o'.repeat(300),
  attributes: { contentType: 'a/b', storageClass: 'STANDARD_IA', userMetadata: { x: 'y' } },
  checksum: { algorithm: 'SHA1', type: 'COMPOSITE', value: 'AAAA-2' },
  parts: [],
  references: [],
  applied: [],
}

describe('a listed row', () => {
  it('reads the same as the whole decoder', () => {
    const { seq, isNull, deleteMarker, modifiedMs, sizeBytes, etag, owner } = row
    expect(readListedVersion(VersionRow.encode(row))).to.deep.equal({
      seq,
      op: Buffer.from(row.op).toString('hex'),
      isNull,
      deleteMarker,
      modifiedMs,
      sizeBytes,
      etag,
      owner,
      storageClass: 'STANDARD_IA',
      checksum: { algorithm: 'SHA1', type: 'COMPOSITE' },
    })
  })

  it('lacks what tells versions apart in a listing of objects', () => {
    const value = VersionRow.encode(row)
    const nothing = { seq: 0, op: '', isNull: false }
    expect(readListedObject(value)).to.deep.equal({ ...readListedVersion(value), ...nothing })
  })

  it('refuses a row that is cut off before what it must show', () => {
    const { checksum: _checksum, ...bare } = row
    const whole = VersionRow.encode(bare)
    for (let size = 0; size < whole.length; size++) {
      expect(() => readListedVersion(whole.subarray(0, size)), `${size} bytes`)
        .to.throw(CairnError)
        .with.property('code', 'MessageCorrupt')
    }
  })

  it('refuses a row of a newer format', () => {
    const newer = Buffer.from(VersionRow.encode(row))
    newer[0] = 2
    expect(() => readListedVersion(newer))
      .to.throw(CairnError)
      .with.property('code', 'FormatTooNew')
  })
})
