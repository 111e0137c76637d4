/** Signing keys of SigV4, derived once for each access key and day. */
import assert from 'node:assert/strict'
import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { SIGNING_KEYS_MAX } from '../limits.js'

export interface SigningScope {
  /** `YYYYMMDD`. */
  readonly day: string
  readonly region: string
  readonly service: string
}

interface CachedKey extends SigningScope {
  readonly accessKey: string
  readonly secretKey: string
  readonly key: SigningKey
}

/** A bounded cache of derived keys; a secret that has changed is noticed and derived anew. */
export class SigningKeys {
  readonly #keys = new Map<string, CachedKey>()
  /** Most requests are signed as the one before. */
  #last: CachedKey | undefined

  get(accessKey: string, secretKey: string, scope: SigningScope): SigningKey {
    const { day, region, service } = scope
    const last = this.#last
    if (last !== undefined && last.accessKey === accessKey && last.secretKey === secretKey) {
      if (last.day === day && last.region === region && last.service === service) return last.key
    }
    this.#last = this.#find(accessKey, secretKey, scope)
    return this.#last.key
  }

  #find(accessKey: string, secretKey: string, { day, region, service }: SigningScope): CachedKey {
    const name = `${day}/${region}/${service}/${accessKey}`
    const cached = this.#keys.get(name)
    if (cached !== undefined && cached.secretKey === secretKey) return cached
    const key = deriveSigningKey(secretKey, { day, region, service })
    const made = { accessKey, secretKey, day, region, service, key }
    if (this.#keys.size >= SIGNING_KEYS_MAX) this.#keys.clear()
    this.#keys.set(name, made)
    return made
  }
}

/** Four chained HMACs over day, region, service and terminator. */
export function deriveSigningKey(secretKey: string, scope: SigningScope): SigningKey {
  let key: Buffer = Buffer.from(`AWS4${secretKey}`)
  for (const step of [scope.day, scope.region, scope.service, 'aws4_request']) {
    key = createHmac('sha256', key).update(step).digest()
  }
  return new SigningKey(key)
}

/** HMAC-SHA256 of a latin1 string. */
export function sign(key: SigningKey, text: string): Buffer {
  return key.sign(text)
}

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
/** Texts to sign have some 150 bytes; longer ones are hashed elsewhere. */
const TEXT_BYTES_MAX = 1024

/** Both are written before they are read, within one call. */
const inner = Buffer.alloc(BLOCK_BYTES + TEXT_BYTES_MAX)
const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)
const signed = Buffer.alloc(DIGEST_BYTES)
const claimed = Buffer.alloc(DIGEST_BYTES)
/** The part of `inner` that was hashed last: most texts are as long as the one before. */
let innerPart = inner

/** A key of HMAC-SHA256 as its two padded blocks: two plain hashes cost less than half of an HMAC object. */
export class SigningKey {
  readonly #innerPad: Buffer
  readonly #outerPad: Buffer

  /** At most 64 bytes; derived keys have 32. */
  constructor(bytes: Uint8Array) {
    assert(bytes.length <= BLOCK_BYTES)
    this.#innerPad = Buffer.alloc(BLOCK_BYTES, 0x36)
    this.#outerPad = Buffer.alloc(BLOCK_BYTES, 0x5c)
    for (const [at, byte] of bytes.entries()) {
      this.#innerPad[at] = byte ^ 0x36
      this.#outerPad[at] = byte ^ 0x5c
    }
  }

  /** HMAC-SHA256 of a latin1 string. */
  sign(text: string): Buffer {
    return Buffer.from(this.#digest(text), 'binary')
  }

  /** Whether this is its HMAC of the text, in 64 hex digits. Takes as long for every signature that is not. */
  hasSigned(text: string, signature: string): boolean {
    signed.write(this.#digest(text), 'binary')
    return claimed.write(signature, 'hex') === DIGEST_BYTES && timingSafeEqual(signed, claimed)
  }

  /** As a latin1 string, which costs less to get than a buffer. */
  #digest(text: string): string {
    const message = messageOf(BLOCK_BYTES + text.length)
    message.set(this.#innerPad)
    message.write(text, BLOCK_BYTES, 'latin1')
    outer.set(this.#outerPad)
    outer.write(hash('sha256', message, 'binary'), BLOCK_BYTES, 'binary')
    return hash('sha256', outer, 'binary')
  }
}

/** Memory for a message of this size, until the next one is asked for. */
function messageOf(sizeBytes: number): Buffer {
  if (sizeBytes > inner.length) return Buffer.alloc(sizeBytes)
  if (innerPart.length !== sizeBytes) innerPart = inner.subarray(0, sizeBytes)
  return innerPart
}
