import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { createRequire } from 'node:module'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { SignatureV4 } from '@smithy/signature-v4'
import { expect } from 'chai'
import { authenticate } from '../../src/authentication/authenticate.js'
import { S3Error } from '../../src/errors.js'
import { EXAMPLE, type RequestParts, rawRequest, settings } from './raw-request.js'

interface Aws4 {
  sign(request: object, credentials: object): { path: string; headers: Record<string, string> }
}
const aws4 = createRequire(import.meta.url)('aws4') as Aws4

const NOW_MS = Date.UTC(2026, 1, 3, 4, 5, 6)
const DATE = '20260203T040506Z'
const HOST = 'localhost:9000'
const REQUESTS = 3000

/** What makes canonicalisers disagree. */
const PIECES = [
  '%',
  '%2F',
  '%25',
  '+',
  ' ',
  '  ',
  '~',
  '*',
  '/',
  '//',
  '.',
  '..',
  './',
  "'",
  '(',
  ')',
  '!',
  '&',
  '=',
]
const LETTERS = [
  'a',
  'Z',
  '0',
  '-',
  '_',
  ':',
  '@',
  '?',
  '#',
  ',',
  ';',
  '<',
  '"',
  '\\',
  '\u0001',
  'é',
  '中',
  '😀',
  '\u2028',
]

class NodeSha256 {
  readonly #state: Hash | Hmac

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    if (secret === undefined) this.#state = createHash('sha256')
    else if (typeof secret === 'string') this.#state = createHmac('sha256', secret)
    else this.#state = createHmac('sha256', toBytes(secret))
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#state.update(typeof data === 'string' ? data : toBytes(data))
  }

  async digest(): Promise<Uint8Array> {
    return this.#state.digest()
  }

  reset(): void {}
}

function toBytes(data: ArrayBuffer | ArrayBufferView): Uint8Array {
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}

const smithy = new SignatureV4({
  service: 's3',
  region: 'us-east-1',
  uriEscapePath: false,
  applyChecksum: true,
  sha256: NodeSha256,
  credentials: { accessKeyId: EXAMPLE.accessKey, secretAccessKey: EXAMPLE.secretKey },
})

const seed = Number(process.env.CAIRN_TEST_SEED ?? 1)
const random = createSeededRandom(seed)

function pick<T>(list: readonly T[]): T {
  return list[Math.floor(random.fraction() * list.length)] as T
}

function randomText(sizeMax: number): string {
  let text = ''
  const size = 1 + Math.floor(random.fraction() * sizeMax)
  for (let at = 0; at < size; at++) text += random.fraction() < 0.4 ? pick(PIECES) : pick(LETTERS)
  return text
}

function strictEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function encodeKey(key: string): string {
  return key.split('/').map(strictEncode).join('/')
}

function encodeQuery(query: Record<string, string>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${strictEncode(name)}=${strictEncode(value)}`)
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

function randomQuery(): Record<string, string> {
  const query: Record<string, string> = {}
  const count = Math.floor(random.fraction() * 4)
  for (let at = 0; at < count; at++) query[randomText(4)] = random.fraction() < 0.2 ? '' : randomText(8)
  return query
}

async function verify(parts: RequestParts): Promise<void> {
  try {
    const { principal } = await authenticate(rawRequest(parts), settings(), NOW_MS)
    expect(principal.kind).to.equal('account')
  } catch (error) {
    if (!(error instanceof S3Error)) throw error
    throw new Error(
      `seed ${seed}: ${parts.method} ${parts.target}: ${error.code} ${error.elements.CanonicalRequest}`,
    )
  }
}

describe(`SigV4 against other signers (seed ${seed})`, () => {
  it('accepts what @smithy/signature-v4 signs by header', async () => {
    for (let at = 0; at < REQUESTS; at++) {
      const path = `/bucket/${encodeKey(randomText(12))}`
      const query = randomQuery()
      const signed = await smithy.sign(
        {
          method: pick(['GET', 'PUT', 'DELETE', 'HEAD']),
          protocol: 'http:',
          hostname: 'localhost',
          path,
          query,
          headers: {
            host: HOST,
            'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
            'x-amz-meta-a': ` ${pick(['a  b', '', 'x', 'a\tb  '])} `,
            'content-type': 'text/plain; charset=UTF-8',
          },
        },
        { signingDate: new Date(NOW_MS) },
      )
      await verify({
        method: signed.method,
        target: path + encodeQuery(query),
        headers: Object.entries(signed.headers),
      })
    }
  })

  it('accepts what @smithy/signature-v4 presigns', async () => {
    for (let at = 0; at < REQUESTS; at++) {
      const path = `/bucket/${encodeKey(randomText(12))}`
      const signed = await smithy.presign(
        {
          method: pick(['GET', 'PUT']),
          protocol: 'http:',
          hostname: 'localhost',
          path,
          query: randomQuery(),
          headers: { host: HOST, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
        },
        {
          signingDate: new Date(NOW_MS),
          expiresIn: 60,
          unhoistableHeaders: new Set(['x-amz-content-sha256']),
        },
      )
      const target = path + encodeQuery(signed.query as Record<string, string>)
      await verify({ method: signed.method, target, headers: Object.entries(signed.headers) })
    }
  })

  it('accepts what aws4 signs, by header and presigned', async () => {
    for (let at = 0; at < REQUESTS; at++) {
      const signQuery = random.fraction() < 0.5
      const path = `/bucket/${encodeKey(randomText(12))}${encodeQuery(randomQuery())}`
      const dated = signQuery
        ? `${path}${path.includes('?') ? '&' : '?'}X-Amz-Date=${DATE}&X-Amz-Expires=60`
        : path
      const signed = aws4.sign(
        {
          host: HOST,
          method: 'GET',
          path: dated,
          service: 's3',
          region: 'us-east-1',
          signQuery,
          headers: signQuery ? {} : { 'X-Amz-Date': DATE },
        },
        { accessKeyId: EXAMPLE.accessKey, secretAccessKey: EXAMPLE.secretKey },
      )
      await verify({ method: 'GET', target: signed.path, headers: Object.entries(signed.headers) })
    }
  })

  it('accepts a path that leaves unescaped what its signature escapes', async () => {
    for (let at = 0; at < 300; at++) {
      const key = randomText(12)
      const path = `/bucket/${encodeKey(key)}`
      const signed = await smithy.sign(
        {
          method: 'GET',
          protocol: 'http:',
          hostname: 'localhost',
          path,
          query: {},
          headers: { host: HOST, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
        },
        { signingDate: new Date(NOW_MS) },
      )
      const loose = path.replace(/%(21|27|28|29|2A|2B|3A|40|2C)/g, (escaped) => decodeURIComponent(escaped))
      await verify({ method: 'GET', target: loose, headers: Object.entries(signed.headers) })
    }
  })

  it('refuses a path in which one character was changed', async () => {
    for (let at = 0; at < 300; at++) {
      const path = `/bucket/${encodeKey(randomText(12))}x`
      const signed = await smithy.sign(
        {
          method: 'GET',
          protocol: 'http:',
          hostname: 'localhost',
          path,
          query: {},
          headers: { host: HOST, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
        },
        { signingDate: new Date(NOW_MS) },
      )
      const request = rawRequest({
        method: 'GET',
        target: `${path.slice(0, -1)}y`,
        headers: Object.entries(signed.headers),
      })
      const error = await authenticate(request, settings(), NOW_MS).catch((thrown: unknown) => thrown)
      expect(error).to.have.property('code', 'SignatureDoesNotMatch')
    }
  })

  it('refuses a request with any bit of a signed component flipped', async () => {
    for (let round = 0; round < 60; round++) {
      const path = `/bucket/${encodeKey(randomText(6))}`
      const query = randomQuery()
      const signed = await smithy.sign(
        {
          method: 'PUT',
          protocol: 'http:',
          hostname: 'localhost',
          path,
          query,
          headers: { host: HOST, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', 'x-amz-meta-a': 'value' },
        },
        { signingDate: new Date(NOW_MS) },
      )
      const parts = {
        method: 'PUT',
        target: path + encodeQuery(query),
        headers: Object.entries(signed.headers),
      }
      for (const mutant of [...targetMutants(parts), ...headerMutants(parts)]) await refuse(mutant)
    }
  })

  function* targetMutants(parts: RequestParts): Iterable<RequestParts> {
    for (let at = 1; at < parts.target.length; at++) {
      const target = flip(parts.target, at)
      if (meaningOf(target) !== meaningOf(parts.target)) yield { ...parts, target }
    }
  }

  function* headerMutants(parts: RequestParts): Iterable<RequestParts> {
    for (const [index, [name, value]] of parts.headers.entries()) {
      for (let at = 0; at < value.length; at++) {
        if (harmless(value, at)) continue
        yield { ...parts, headers: parts.headers.with(index, [name, flip(value, at)]) }
      }
    }
  }

  function flip(text: string, at: number): string {
    const code = text.charCodeAt(at) ^ (1 << Math.floor(random.fraction() * 7))
    return text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
  }

  /** Commas and blanks between the fields of the header are not signed. */
  function harmless(value: string, at: number): boolean {
    return value.startsWith('AWS4') && /[ ,]/.test(value[at] ?? '')
  }

  /** `%2f` and `%2F` are the same byte. */
  function meaningOf(target: string): string {
    try {
      const [path = '', query = ''] = target.split(/\?(.*)/s)
      const pairs = query.split('&').filter((pair) => pair !== '')
      return JSON.stringify([decodeURIComponent(path), pairs.map((pair) => decodeURIComponent(pair)).sort()])
    } catch {
      return 'broken'
    }
  }

  async function refuse(parts: RequestParts): Promise<void> {
    let principal: string
    try {
      principal = (await authenticate(rawRequest(parts), settings(), NOW_MS)).principal.kind
    } catch (error) {
      if (error instanceof S3Error) return
      throw error
    }
    throw new Error(`seed ${seed}: ${principal} by ${JSON.stringify(parts)}`)
  }
})
