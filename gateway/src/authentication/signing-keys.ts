/** Signing keys of SigV4, derived once for each access key and day. */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'
import { SIGNING_KEYS_MAX } from '../limits.js'

export interface SigningScope {
  /** `YYYYMMDD`. */
  readonly day: string
  readonly region: string
  readonly service: string
}

interface CachedKey {
  readonly secretKey: string
  readonly key: KeyObject
}

/** A bounded cache of derived keys; a secret that has changed is noticed and derived anew. */
export class SigningKeys {
  readonly #keys = new Map<string, CachedKey>()

  get(accessKey: string, secretKey: string, scope: SigningScope): KeyObject {
    const name = `${scope.day}/${scope.region}/${scope.service}/${accessKey}`
    const cached = this.#keys.get(name)
    if (cached !== undefined && cached.secretKey === secretKey) return cached.key
    const key = deriveSigningKey(secretKey, scope)
    if (this.#keys.size >= SIGNING_KEYS_MAX) this.#keys.clear()
    this.#keys.set(name, { secretKey, key })
    return key
  }
}

/** Four chained HMACs over day, region, service and terminator. */
export function deriveSigningKey(secretKey: string, scope: SigningScope): KeyObject {
  let key: Buffer = Buffer.from(`AWS4${secretKey}`)
  for (const step of [scope.day, scope.region, scope.service, 'aws4_request']) {
    key = createHmac('sha256', key).update(step).digest()
  }
  return createSecretKey(key)
}

/** HMAC-SHA256 of a latin1 string. */
export function sign(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest()
}
