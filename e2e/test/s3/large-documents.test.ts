/** Documents as large as S3's own limits allow them. */
import { expect } from 'chai'
import { useSuite } from './support/suite.js'
import { createUpload, type ListedPart, uploadCalls } from './support/uploads.js'
import { send } from './support/wire.js'
import { blocks, expectError } from './support/xml.js'

const TIMEOUT_MS = 60_000
const ETAG = `"${'0'.repeat(32)}"`
/** As long as a checksum gets. */
const SHA512 = Buffer.alloc(64).toString('base64')

describe('documents at their limits', () => {
  const suite = useSuite('large-documents')
  const { complete } = uploadCalls(() => suite.server)

  const list = (length: number): ListedPart[] =>
    Array.from({ length }, (_, index) => ({
      number: Math.min(index + 1, 10_000),
      etag: ETAG,
      checksum: ['ChecksumSHA512', SHA512],
    }))

  it('reads a Complete of 10,000 parts with checksums, and refuses one of 10,001', async function () {
    this.timeout(TIMEOUT_MS)
    const path = suite.freshPath()
    const id = await createUpload(suite.server, path, { 'x-amz-checksum-algorithm': 'SHA512' })
    // None of them was uploaded: the list has been read when that is found out.
    expectError(await complete(path, id, list(10_000)), 400, 'InvalidPart')
    expectError(await complete(path, id, list(10_001)), 400, 'MalformedXML')
  })

  it('deletes 1,000 of the longest keys, however long their entities', async function () {
    this.timeout(TIMEOUT_MS)
    const objects = Array.from({ length: 1000 }, (_, index) => {
      const number = String(index).padStart(4, '0')
      return `<Object><Key>${number}${'&quot;'.repeat(1020)}</Key></Object>`
    })
    const body = `<Delete>${objects.join('')}</Delete>`
    const path = `/${suite.bucket}`
    const longest = `${path}/0000${'%22'.repeat(1020)}`
    expect((await send(suite.server, { method: 'PUT', path: longest, body: 'x' })).status).to.equal(200)
    const response = await send(suite.server, { method: 'POST', path, query: 'delete', body })
    expect(response.status, response.text.slice(0, 300)).to.equal(200)
    expect(blocks(response.text, 'Deleted')).to.have.length(1000)
    expectError(await send(suite.server, { path: longest }), 404, 'NoSuchKey')
  })
})
