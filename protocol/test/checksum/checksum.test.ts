import { createHash, randomBytes } from 'node:crypto'
import { expect } from 'chai'
import fc from 'fast-check'
import {
  type BlockId,
  type CombinableAlgorithm,
  combineCrcs,
  createBlockHasher,
  createDigest,
  type DigestAlgorithm,
  digestOf,
  hashBlock,
  unitCheck,
} from '../../src/index.js'

const CHECK = Buffer.from('123456789')
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

describe('digests', () => {
  const published: [DigestAlgorithm, string][] = [
    ['CRC32', 'cbf43926'],
    ['CRC32C', 'e3069283'],
    ['CRC64NVME', 'ae8b14860a799888'],
    ['MD5', '25f9e794323b453885f5181f1b624d0b'],
    ['SHA1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
    ['SHA256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
  ]
  for (const [algorithm, value] of published) {
    it(`gives the published check value of ${algorithm}`, () => {
      expect(hex(digestOf(algorithm, CHECK))).to.equal(value)
    })

    it(`gives the same ${algorithm} however the bytes are cut, while others run`, () => {
      fc.assert(
        fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 8 }), (chunks) => {
          const one = createDigest(algorithm)
          const other = createDigest(algorithm)
          for (const chunk of chunks) {
            one.update(chunk)
            other.update(Buffer.from('noise'))
          }
          expect(hex(one.digest())).to.equal(hex(digestOf(algorithm, Buffer.concat(chunks))))
        }),
        { numRuns: 50 },
      )
    })
  }
})

describe('combineCrcs', () => {
  for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] satisfies CombinableAlgorithm[]) {
    it(`equals the ${algorithm} of the concatenation`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 6 }),
          (chunks) => {
            const parts = chunks.map((chunk) => ({
              crc: digestOf(algorithm, chunk),
              sizeBytes: chunk.length,
            }))
            expect(hex(combineCrcs(algorithm, parts))).to.equal(
              hex(digestOf(algorithm, Buffer.concat(chunks))),
            )
          },
        ),
        { numRuns: 50 },
      )
    })
  }
})

describe('block checks', () => {
  it('hashes memory that threads share', () => {
    for (const length of [100, 5000, 65_536]) {
      const shared = new Uint8Array(new SharedArrayBuffer(length)).fill(7)
      const hasher = createBlockHasher()
      hasher.update(shared)
      const expected = hex(hashBlock(Buffer.alloc(length, 7)))
      expect([hex(hashBlock(shared)), hex(hasher.digest())]).to.deep.equal([expected, expected])
    }
  })

  it('gives the published BLAKE3 of the empty input, and the same in pieces', () => {
    expect(hex(hashBlock(Buffer.alloc(0)))).to.equal(
      'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262',
    )
    const bytes = randomBytes(100_000)
    const hasher = createBlockHasher()
    hasher.update(bytes.subarray(0, 33_333))
    hasher.update(bytes.subarray(33_333))
    expect(hex(hasher.digest())).to.equal(hex(hashBlock(bytes)))
  })

  it('changes with the block, the place and every byte', () => {
    const bytes = randomBytes(4096)
    const block = randomBytes(16) as Uint8Array as BlockId
    const other = createHash('md5').update(block).digest() as Uint8Array as BlockId
    const check = unitCheck(block, 3, bytes)
    expect(unitCheck(block, 3, bytes)).to.equal(check)
    expect(unitCheck(other, 3, bytes)).to.not.equal(check)
    expect(unitCheck(block, 4, bytes)).to.not.equal(check)
    bytes[1000] = (bytes[1000] ?? 0) ^ 1
    expect(unitCheck(block, 3, bytes)).to.not.equal(check)
  })
})
