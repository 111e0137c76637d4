import type { ChecksumAlgorithm, PartInfo, UploadInfo } from '@cairn/protocol'
import { expect } from 'chai'
import { PartTotals } from '../../src/objects/part-list.js'

const UNDECLARED: UploadInfo = {
  uploadId: '0'.repeat(48),
  key: 'k',
  initiatedMs: 0,
  owner: 'owner',
  attributes: {},
}

function totalsOf(...algorithms: (ChecksumAlgorithm | undefined)[]): PartTotals {
  const totals = new PartTotals()
  for (const [index, algorithm] of algorithms.entries()) {
    const part: PartInfo = { partNumber: index + 1, sizeBytes: 5, etag: '00'.repeat(16), modifiedMs: 0 }
    const value = Buffer.alloc(algorithm === 'CRC64NVME' ? 8 : 4).toString('base64')
    totals.add(
      algorithm === undefined ? part : { ...part, checksum: { algorithm, type: 'FULL_OBJECT', value } },
    )
  }
  return totals
}

describe('the parts of an upload that declares no algorithm', () => {
  it('add up to a CRC64NVME that remembers none of theirs', () => {
    const totals = totalsOf('CRC64NVME', 'CRC64NVME')
    const checksum = totals.checksum(UNDECLARED)
    expect(checksum).to.include({ algorithm: 'CRC64NVME', type: 'FULL_OBJECT' })
    expect(checksum && totals.partChecksums(UNDECLARED, checksum)).to.equal(undefined)
  })

  it('add up to no checksum if an earlier version stored some of them with another, or with none', () => {
    expect(totalsOf('CRC32', 'CRC64NVME').checksum(UNDECLARED)).to.equal(undefined)
    expect(totalsOf('CRC32', 'CRC32').checksum(UNDECLARED)).to.equal(undefined)
    expect(totalsOf('CRC64NVME', undefined).checksum(UNDECLARED)).to.equal(undefined)
  })
})
