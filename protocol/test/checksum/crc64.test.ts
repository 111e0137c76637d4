import { expect } from 'chai'
import { createCRC64 } from 'hash-wasm'
import { Crc64Nvme } from '../../src/checksum/crc64.js'
import { createSeededRandom } from '../../src/simulation/index.js'

const SEED = Number(process.env.CAIRN_TEST_SEED ?? 20261121)
const REVERSED = '9a6c9329ac4bc9b5'
const RUN = 4096
const SPAN = 64 * 1024

function crcOf(...pieces: readonly Uint8Array[]): string {
  const crc = new Crc64Nvme()
  for (const piece of pieces) crc.update(piece)
  return Buffer.from(crc.digest()).toString('hex')
}

describe('Crc64Nvme', () => {
  it('has the check value of its catalogue', () => {
    expect(crcOf(Buffer.from('123456789'))).to.equal('ae8b14860a799888')
  })

  it(`agrees with another implementation at every size and cut (seed ${SEED})`, async () => {
    const random = createSeededRandom(SEED)
    const other = await createCRC64(REVERSED)
    const small = [0, 1, 7, 8, 9, 63, 1000, RUN - 1, RUN, RUN + 1, 2 * RUN, 3 * RUN + 5]
    const sizes = [...small, SPAN - 1, SPAN, SPAN + 1, 2 * SPAN, 3 * SPAN + 13]
    for (const size of sizes) {
      const bytes = random.bytes(size)
      const cut = Math.floor(random.fraction() * size)
      other.init()
      const expected = other.update(bytes).digest('hex')
      expect([size, crcOf(bytes)]).to.deep.equal([size, expected])
      expect([size, crcOf(bytes.subarray(0, cut), bytes.subarray(cut))]).to.deep.equal([size, expected])
    }
  })

  it('keeps running sums apart', () => {
    const bytes = Buffer.alloc(SPAN + 5, 'x')
    const first = new Crc64Nvme()
    const second = new Crc64Nvme()
    for (const byte of [0, 1, 2]) {
      first.update(bytes.subarray(byte))
      second.update(bytes.subarray(0, byte))
    }
    expect(Buffer.from(second.digest()).toString('hex')).to.equal(crcOf(bytes.subarray(0, 3)))
  })
})
