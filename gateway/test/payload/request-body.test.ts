import { createHash } from 'node:crypto'
import type { Digests } from '@cairn/client'
import { createDigest } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { SigningKey } from '../../src/authentication/signing-keys.js'
import { S3Error } from '../../src/errors.js'
import type { OpenBodyOptions } from '../../src/operations/types.js'
import { openRequestBody } from '../../src/payload/request-body.js'
import { cut, DATE, frame, SCOPE, signingKey } from './frames.js'

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'
/** Seed and chunk signatures of AWS's published example of a signed chunked upload. */
const SEED_SIGNATURE = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9'
const KEY = signingKey(SECRET)

const KINDS = [
  'UNSIGNED-PAYLOAD',
  'LITERAL',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
] as const
type Kind = (typeof KINDS)[number]

const seed = Number(process.env.CAIRN_TEST_SEED ?? 1)
const random = createSeededRandom(seed)

interface Upload {
  readonly headers: Record<string, string>
  readonly payloadHash: string | undefined
  readonly pieces: readonly Uint8Array[]
}

interface Stored {
  readonly bytes: Buffer
  readonly checksum: string | undefined
}

/** What the client library does with a body. */
async function store(upload: Upload, options?: OpenBodyOptions, presigned = false): Promise<Stored> {
  async function* source(): AsyncIterable<Uint8Array> {
    yield* upload.pieces
  }
  const headers = Object.assign(Object.create(null), upload.headers)
  const body = openRequestBody(
    {
      headers,
      bytes: source(),
      payloadHash: upload.payloadHash,
      signing: { key: new SigningKey(KEY), date: DATE, scope: SCOPE, seedSignature: SEED_SIGNATURE },
      presigned,
      strictChunkedPut: false,
      strictPresignedChecksum: false,
    },
    options,
  )
  const running = (['MD5', ...body.digests] as const).map((name) => ({ name, digest: createDigest(name) }))
  const parts: Uint8Array[] = []
  for await (const part of body.body) {
    parts.push(part)
    for (const { digest } of running) digest.update(part)
  }
  const bytes = Buffer.concat(parts)
  const digests: Digests = Object.fromEntries(running.map(({ name, digest }) => [name, digest.digest()]))
  const { checksum } = body.seal(digests, bytes.length)
  return { bytes, checksum: checksum && `${checksum.algorithm} ${checksum.value}` }
}

async function codeOf(upload: Upload, options?: OpenBodyOptions): Promise<string> {
  try {
    await store(upload, options)
    return 'stored'
  } catch (error) {
    if (error instanceof S3Error) return error.code
    throw error
  }
}

function crc32(bytes: Uint8Array): string {
  const digest = createDigest('CRC32')
  digest.update(bytes)
  return Buffer.from(digest.digest()).toString('base64')
}

function upload(kind: Kind, bytes: Uint8Array, chunks: readonly Uint8Array[]): Upload {
  if (kind === 'UNSIGNED-PAYLOAD' || kind === 'LITERAL') {
    const payloadHash = kind === 'LITERAL' ? createHash('sha256').update(bytes).digest('hex') : kind
    return { headers: { 'content-length': String(bytes.length) }, payloadHash, pieces: [bytes] }
  }
  const trailer = kind.endsWith('TRAILER')
  const framed = frame({
    chunks,
    ...(kind.includes('UNSIGNED') ? {} : { signed: { key: KEY, seed: SEED_SIGNATURE } }),
    ...(trailer ? { trailers: { 'x-amz-checksum-crc32': crc32(bytes) } } : {}),
  })
  return {
    headers: {
      'content-length': String(framed.length),
      'x-amz-decoded-content-length': String(bytes.length),
      ...(trailer ? { 'x-amz-trailer': 'x-amz-checksum-crc32' } : {}),
    },
    payloadHash: kind,
    pieces: [framed],
  }
}

function randomUpload(kind: Kind): { upload: Upload; bytes: Buffer } {
  const bytes = Buffer.from(random.bytes(Math.floor(random.fraction() * 3000)))
  const chunks = cut(bytes, () => Math.floor(random.fraction() * 1500))
  return { upload: upload(kind, bytes, chunks), bytes }
}

function recut(from: Upload, bytes: Uint8Array): Upload {
  return { ...from, pieces: cut(bytes, () => Math.floor(random.fraction() ** 3 * 400)) }
}

describe(`request body (seed ${seed})`, () => {
  it('accepts the published example of a signed chunked upload', async () => {
    const bytes = Buffer.alloc(66_560, 'a')
    const framed = Buffer.concat([
      Buffer.from(
        '10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n',
      ),
      bytes.subarray(0, 65_536),
      Buffer.from(
        '\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n',
      ),
      bytes.subarray(65_536),
      Buffer.from(
        '\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n',
      ),
    ])
    expect(framed.length).to.equal(66_824)
    const stored = await store({
      headers: { 'content-length': '66824', 'x-amz-decoded-content-length': '66560' },
      payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      pieces: [framed],
    })
    expect(stored.bytes.equals(bytes)).to.equal(true)
  })

  for (const kind of KINDS) {
    it(`gives back the bytes of ${kind}, wherever the reads cut them`, async () => {
      for (let round = 0; round < 200; round++) {
        const { upload: sent, bytes } = randomUpload(kind)
        const { bytes: stored } = await store(recut(sent, Buffer.concat(sent.pieces)))
        expect(stored.equals(bytes)).to.equal(true)
      }
    })

    it(`stores ${kind} whole or not at all when it ends early`, async () => {
      for (let round = 0; round < 200; round++) {
        const { upload: sent } = randomUpload(kind)
        const framed = Buffer.concat(sent.pieces)
        if (framed.length === 0) continue
        const short = framed.subarray(0, Math.floor(random.fraction() * framed.length))
        expect(await codeOf(recut(sent, short))).to.equal('IncompleteBody')
      }
    })
  }

  for (const kind of [
    'LITERAL',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
  ] as const) {
    it(`refuses ${kind} with one byte changed anywhere`, async () => {
      const bytes = Buffer.from(random.bytes(300))
      const sent = upload(
        kind,
        bytes,
        cut(bytes, () => 100),
      )
      const framed = Buffer.concat(sent.pieces)
      for (let at = 0; at < framed.length; at++) {
        const changed = Buffer.from(framed)
        changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random.fraction() * 8))
        const same = await sameMeaning(sent, changed, bytes)
        if (!same) expect(await codeOf({ ...sent, pieces: [changed] }), `byte ${at}`).to.not.equal('stored')
      }
    })
  }

  it('refuses an unsigned chunked body with one payload byte changed', async () => {
    const bytes = Buffer.from(random.bytes(300))
    const sent = upload('STREAMING-UNSIGNED-PAYLOAD-TRAILER', bytes, [bytes])
    const framed = Buffer.concat(sent.pieces)
    framed[100] = (framed[100] ?? 0) ^ 1
    expect(await codeOf({ ...sent, pieces: [framed] })).to.equal('BadDigest')
  })

  it('refuses bytes after the final chunk', async () => {
    for (const kind of KINDS.slice(2)) {
      const { upload: sent } = randomUpload(kind)
      expect(await codeOf({ ...sent, pieces: [...sent.pieces, Buffer.from('x')] })).to.equal('IncompleteBody')
    }
  })

  it('refuses chunks that were swapped, dropped or repeated', async () => {
    const chunks = [Buffer.alloc(50, 1), Buffer.alloc(50, 2)]
    const kind = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
    const framed = Buffer.concat(upload(kind, Buffer.concat(chunks), chunks).pieces)
    const sizeBytes = framed.indexOf('32;', 4)
    const [first, second] = [framed.subarray(0, sizeBytes), framed.subarray(sizeBytes, 2 * sizeBytes)]
    const rest = framed.subarray(2 * sizeBytes)
    const headers = { 'x-amz-decoded-content-length': '100' }
    for (const pieces of [
      [second, first, rest],
      [first, first, rest],
    ]) {
      expect(await codeOf({ headers, payloadHash: kind, pieces })).to.equal('SignatureDoesNotMatch')
    }
    const dropped = {
      headers: { 'x-amz-decoded-content-length': '50' },
      payloadHash: kind,
      pieces: [first, rest],
    }
    expect(await codeOf(dropped)).to.equal('SignatureDoesNotMatch')
  })

  it('refuses a decoded length that is too small or too large', async () => {
    const bytes = Buffer.alloc(100, 7)
    for (const kind of KINDS.slice(2)) {
      const sent = upload(kind, bytes, [bytes])
      for (const length of ['99', '101']) {
        const headers = { ...sent.headers, 'x-amz-decoded-content-length': length }
        expect(await codeOf({ ...sent, headers })).to.equal('IncompleteBody')
      }
    }
  })

  it('refuses a chunk head or trailer that does not end', async () => {
    for (const start of ['1', '0\r\nx-amz-checksum-crc32:']) {
      const sent = {
        headers: { 'x-amz-decoded-content-length': '0', 'x-amz-trailer': 'x-amz-checksum-crc32' },
        payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
        pieces: [Buffer.from(start), Buffer.alloc(600, '0'), Buffer.alloc(600, '0')],
      }
      expect(await codeOf(sent)).to.equal('InvalidRequest')
    }
  })

  it('refuses a trailer that was not announced, and one that was announced and did not come', async () => {
    const bytes = Buffer.from('abc')
    const payloadHash = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'
    const headers = { 'x-amz-decoded-content-length': '3' }
    const announced = { ...headers, 'x-amz-trailer': 'x-amz-checksum-crc32' }
    const withTrailer = frame({ chunks: [bytes], trailers: { 'x-amz-checksum-crc32': crc32(bytes) } })
    const without = frame({ chunks: [bytes] })
    expect(await codeOf({ headers, payloadHash, pieces: [withTrailer] })).to.equal('MalformedTrailerError')
    expect(await codeOf({ headers: announced, payloadHash, pieces: [without] })).to.equal(
      'MalformedTrailerError',
    )
    expect(await codeOf({ headers: announced, payloadHash, pieces: [withTrailer] })).to.equal('stored')
  })

  it('takes trailers as minio-go frames them: lines without \\r, and a blank line more', async () => {
    const forms = {
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': [
        /\r\nx-amz-trailer-signature:/,
        '\n\r\nx-amz-trailer-signature:',
      ],
      'STREAMING-UNSIGNED-PAYLOAD-TRAILER': [/\r\n\r\n$/, '\n\r\n\r\n'],
    } as const
    for (const [kind, [from, to]] of Object.entries(forms)) {
      const bytes = Buffer.from('a body in two chunks')
      const sent = upload(kind as Kind, bytes, [bytes.subarray(0, 7), bytes.subarray(7)])
      const framed = Buffer.concat(sent.pieces).toString('latin1')
      const changed = Buffer.from(framed.replace(from, to), 'latin1')
      expect(changed.length - framed.length).to.equal(1)
      for (let round = 0; round < 50; round++) {
        expect(await store(recut(sent, changed))).to.deep.include({
          checksum: `CRC32 ${crc32(bytes)}`,
          bytes,
        })
      }
      const more = Buffer.concat([changed, Buffer.from('\r\n')])
      expect(await codeOf(recut(sent, more)), kind).to.equal('IncompleteBody')
    }
  })

  it('wants the signature of a trailer, however that is framed', async () => {
    const kind = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
    const bytes = Buffer.from('abc')
    const sent = upload(kind, bytes, [bytes])
    const framed = Buffer.concat(sent.pieces).toString('latin1')
    const without = framed.replace(/x-amz-trailer-signature:.*\r\n/, '')
    for (const text of [without, without.replace(/\r\n\r\n$/, '\n\r\n'), `${without}\r\n`]) {
      const pieces = [Buffer.from(text, 'latin1')]
      expect(await codeOf({ ...sent, pieces }), JSON.stringify(text)).to.equal('SignatureDoesNotMatch')
    }
  })

  it('refuses a body that says it is framed, with a payload that says it is not', async () => {
    const sent = upload('UNSIGNED-PAYLOAD', Buffer.from('abc'), [])
    const headers = { ...sent.headers, 'content-encoding': 'gzip, AWS-chunked' }
    expect(await codeOf({ ...sent, headers })).to.equal('InvalidArgument')
    // A form, whose field it is.
    expect(await codeOf({ ...sent, headers, payloadHash: undefined })).to.equal('stored')
  })

  it('computes CRC64NVME when nothing was sent, also for the trailer kind without a trailer', async () => {
    const bytes = Buffer.from('123456789')
    const plain = { headers: { 'content-length': '9' }, payloadHash: 'UNSIGNED-PAYLOAD', pieces: [bytes] }
    const framed = {
      headers: { 'x-amz-decoded-content-length': '9' },
      payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      pieces: [frame({ chunks: [bytes] })],
    }
    const expected = `CRC64NVME ${Buffer.from('ae8b14860a799888', 'hex').toString('base64')}`
    expect((await store(plain)).checksum).to.equal(expected)
    expect((await store(framed)).checksum).to.equal(expected)
    expect((await store(plain, { checksumDefault: 'none' })).checksum).to.equal(undefined)
  })

  it('verifies and keeps each algorithm sent by header', async () => {
    const bytes = Buffer.from('123456789')
    for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
      const digest = createDigest(algorithm)
      digest.update(bytes)
      const value = Buffer.from(digest.digest()).toString('base64')
      const name = `x-amz-checksum-${algorithm.toLowerCase()}`
      const sent = (headers: Record<string, string>): Upload => ({
        headers: { 'content-length': '9', ...headers },
        payloadHash: 'UNSIGNED-PAYLOAD',
        pieces: [bytes],
      })
      expect((await store(sent({ [name]: value }))).checksum).to.equal(`${algorithm} ${value}`)
      const wrong = Buffer.from(value, 'base64')
      wrong[0] = (wrong[0] ?? 0) ^ 1
      expect(await codeOf(sent({ [name]: wrong.toString('base64') }))).to.equal('BadDigest')
      expect(await codeOf(sent({ [name]: 'AAA=' }))).to.equal('InvalidRequest')
      expect(await codeOf(sent({ [name]: '' }))).to.equal('InvalidRequest')
      const other = algorithm === 'SHA1' ? 'x-amz-checksum-crc32' : 'x-amz-checksum-sha1'
      expect(await codeOf(sent({ [name]: value, [other]: value }))).to.equal('InvalidRequest')
    }
  })

  it('takes the name of an algorithm alone only from forms, and refuses one that contradicts the value', async () => {
    const base = { payloadHash: 'UNSIGNED-PAYLOAD', pieces: [Buffer.from('abc')] }
    const named = { 'content-length': '3', 'x-amz-sdk-checksum-algorithm': 'SHA256' }
    const { checksum } = await store({ pieces: base.pieces, payloadHash: undefined, headers: named })
    expect(checksum).to.match(/^SHA256 /)
    expect(await codeOf({ ...base, headers: named })).to.equal('InvalidRequest')
    const contradicting = { ...named, 'x-amz-checksum-crc32': crc32(Buffer.from('abc')) }
    expect(await codeOf({ ...base, headers: contradicting })).to.equal('InvalidRequest')
    const unknown = { 'content-length': '3', 'x-amz-checksum-crc7': 'AA==' }
    expect(await codeOf({ ...base, headers: unknown })).to.equal('InvalidRequest')
  })

  it('checks Content-MD5: shape first, value at the end', async () => {
    const bytes = Buffer.from('abc')
    const good = createHash('md5').update(bytes).digest('base64')
    const sent = (md5: string): Upload => ({
      headers: { 'content-length': '3', 'content-md5': md5 },
      payloadHash: 'UNSIGNED-PAYLOAD',
      pieces: [bytes],
    })
    expect(await codeOf(sent(good))).to.equal('stored')
    expect(await codeOf(sent(createHash('md5').update('x').digest('base64')))).to.equal('BadDigest')
    for (const bad of ['', 'x', 'AAAA', `${good}=`])
      expect(await codeOf(sent(bad)), bad).to.equal('InvalidDigest')
  })

  it('refuses a body whose hash is not the signed one', async () => {
    const sent = {
      headers: { 'content-length': '3' },
      payloadHash: 'a'.repeat(64),
      pieces: [Buffer.from('abc')],
    }
    expect(await codeOf(sent)).to.equal('XAmzContentSHA256Mismatch')
  })

  it('refuses a hash line it does not know', async () => {
    for (const payloadHash of ['', 'STREAMING', 'A'.repeat(64), 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD']) {
      const sent = { headers: { 'content-length': '0' }, payloadHash, pieces: [] }
      expect(await codeOf(sent)).to.equal('InvalidArgument')
    }
  })

  it('wants a length: missing, negative and above 5 GiB are refused', async () => {
    const sent = (headers: Record<string, string>): Upload => ({
      headers,
      payloadHash: 'UNSIGNED-PAYLOAD',
      pieces: [],
    })
    expect(await codeOf(sent({}))).to.equal('MissingContentLength')
    expect(await codeOf(sent({ 'content-length': '-1' }))).to.equal('InvalidArgument')
    expect(await codeOf(sent({ 'content-length': String(5 * 1024 ** 3 + 1) }))).to.equal('EntityTooLarge')
    expect(await codeOf(sent({ 'transfer-encoding': 'chunked' }))).to.equal('stored')
    const framed = { ...sent({ 'transfer-encoding': 'chunked' }), payloadHash: KINDS[2] }
    expect(await codeOf(framed)).to.equal('MissingContentLength')
  })

  it('takes a document without a length as empty', async () => {
    const sent = { headers: {}, payloadHash: 'UNSIGNED-PAYLOAD', pieces: [] }
    expect(await codeOf(sent, { emptyWithoutLength: true })).to.equal('stored')
  })

  it('refuses an announced framing that the hash line does not name', async () => {
    const headers = { 'content-length': '9', 'x-amz-decoded-content-length': '3' }
    const sent = { headers, payloadHash: 'UNSIGNED-PAYLOAD', pieces: [Buffer.from('3\r\nabc\r\n')] }
    expect(await codeOf(sent)).to.equal('InvalidRequest')
  })

  it('bounds a body without a declared length', async () => {
    const sent = {
      headers: { 'transfer-encoding': 'chunked' },
      payloadHash: 'UNSIGNED-PAYLOAD',
      pieces: [Buffer.alloc(8), Buffer.alloc(8)],
    }
    expect(await codeOf(sent, { sizeBytesMax: 16 })).to.equal('stored')
    expect(await codeOf(sent, { sizeBytesMax: 15 })).to.equal('EntityTooLarge')
  })

  it('ignores the checksum of the empty body in a presigned query only', async () => {
    const sent = {
      headers: { 'content-length': '3', 'x-amz-checksum-crc32': 'AAAAAA==' },
      payloadHash: 'UNSIGNED-PAYLOAD',
      pieces: [Buffer.from('abc')],
    }
    expect((await store(sent, undefined, true)).checksum).to.equal(`CRC32 ${crc32(Buffer.from('abc'))}`)
    expect(await codeOf(sent)).to.equal('BadDigest')
  })
})

/** Hex digits and header names have two cases; such a change is none. */
async function sameMeaning(sent: Upload, changed: Buffer, bytes: Buffer): Promise<boolean> {
  const before = Buffer.concat(sent.pieces)
  const at = before.findIndex((byte, index) => byte !== changed[index])
  const isLetter = /[a-zA-Z]/.test(String.fromCharCode(before[at] ?? 0))
  if (!isLetter || ((before[at] ?? 0) ^ (changed[at] ?? 0)) !== 0x20) return false
  const stored = await store({ ...sent, pieces: [changed] }).catch(() => undefined)
  return stored === undefined || stored.bytes.equals(bytes)
}
