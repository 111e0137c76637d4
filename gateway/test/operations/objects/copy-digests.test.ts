import type { ObjectVersion } from '@cairn/protocol'
import { expect } from 'chai'
import { COPY_DIGEST_BYTES_MAX, digestCopy } from '../../../src/operations/objects/copy-digests.js'

/** A source that counts how often its bytes are read. */
function source(
  sizeBytes: number,
  parts: number,
): { reads: number; opened: Parameters<typeof digestCopy>[0] } {
  const counted = { reads: 0 }
  const object: ObjectVersion = {
    key: 'k',
    versionId: 'null',
    isLatest: true,
    deleteMarker: false,
    modifiedMs: 0,
    sizeBytes,
    etag: parts > 0 ? `x-${parts}` : 'x',
    owner: 'o',
    attributes: {},
    parts: parts > 0 ? [{ firstNumber: 1, count: parts, sizeBytes: sizeBytes / parts }] : [],
  }
  async function* read(): AsyncGenerator<Uint8Array> {
    counted.reads++
    yield Buffer.from('123456789')
  }
  return Object.assign(counted, { opened: { object, read } })
}

describe('digestCopy', () => {
  it('never reads a plain source', async () => {
    const plain = source(9, 0)
    expect(await digestCopy(plain.opened, undefined)).to.deep.equal({})
    expect(plain.reads).to.equal(0)
  })

  it('reads a small multipart source once, for its MD5 and its checksum', async () => {
    const small = source(9, 1)
    const { etag, checksum } = await digestCopy(small.opened, undefined)
    expect(etag).to.equal('25f9e794323b453885f5181f1b624d0b')
    expect(checksum?.value).to.equal(Buffer.from('ae8b14860a799888', 'hex').toString('base64'))
    expect(small.reads).to.equal(1)
  })

  it('reads a large multipart source only for a checksum that was asked for', async () => {
    const large = source(COPY_DIGEST_BYTES_MAX + 2, 2)
    expect(await digestCopy(large.opened, undefined)).to.deep.equal({})
    expect(large.reads).to.equal(0)
    await digestCopy(large.opened, 'SHA256')
    expect(large.reads).to.equal(1)
  })
})
