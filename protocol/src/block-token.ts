/**
 * Tokens by which blocks are read. A token is bound to a method and a group and ends after ten minutes:
 *
 *     version u8 · method u16 · key u32 · group u16 · expiry u32 (s since 1970) · HMAC-SHA256 over these 13 bytes
 *
 * Whoever has a key makes tokens by himself; a chunk server checks them without asking anybody. A request to read does
 * not name a pool, and block ids are never used twice, so a token is good for the group's number in all pools.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { sameBytes } from './ids.js'
import type { TokenKey, TokenKeys } from './messages/block-tokens.js'
import type { Clock } from './ports.js'

const VERSION = 1
const HEAD_BYTES = 13
const TOKEN_BYTES: number = HEAD_BYTES + 32
/** All that make tokens within this time make the same ones, so that a check already done holds for others too. */
const WINDOW_S = 300
const CONTEXT = 'cairn-block-token\0'

/** What a token allows. */
export interface TokenScope {
  readonly method: number
  readonly group: number
}

/** Which key makes tokens, and when they end, from one time until another. */
interface Period {
  readonly fromMs: number
  readonly toMs: number
  readonly key: TokenKey | undefined
  readonly expiryS: number
}

const NO_PERIOD: Period = { fromMs: 0, toMs: 0, key: undefined, expiryS: 0 }

/** Makes tokens, each once for five minutes. */
export class TokenMint {
  private readonly clock: Clock
  private readonly made = new Map<number, Uint8Array>()
  private keys: readonly TokenKey[] = []
  private period = NO_PERIOD

  constructor(clock: Clock) {
    this.clock = clock
  }

  learn(keys: TokenKeys | undefined): void {
    if (keys === undefined || areSame(this.keys, keys.keys)) return
    this.keys = keys.keys
    this.period = NO_PERIOD
  }

  /** A token that is good for five minutes at least; `undefined` without a key. */
  tokenOf({ method, group }: TokenScope): Uint8Array | undefined {
    const { key, expiryS } = this.periodOf(this.clock.wallMicros() / 1000)
    const name = method * 0x1_0000 + group
    const known = this.made.get(name)
    if (known !== undefined || key === undefined) return known
    const token = makeToken(key, { method, group }, expiryS)
    this.made.set(name, token)
    return token
  }

  private periodOf(nowMs: number): Period {
    const { fromMs, toMs } = this.period
    if (nowMs >= fromMs && nowMs < toMs) return this.period
    this.made.clear()
    this.period = findPeriod(this.keys, nowMs)
    return this.period
  }
}

function findPeriod(keys: readonly TokenKey[], nowMs: number): Period {
  const window = Math.floor(nowMs / 1000 / WINDOW_S)
  const key = keyInUse(keys, nowMs)
  const next = keys.find(({ fromMs }) => fromMs > nowMs)
  const sinceMs = key === undefined || key.fromMs > nowMs ? 0 : key.fromMs
  return {
    fromMs: Math.max(window * WINDOW_S * 1000, sinceMs),
    toMs: Math.min((window + 1) * WINDOW_S * 1000, next?.fromMs ?? Number.POSITIVE_INFINITY),
    key,
    expiryS: (window + 2) * WINDOW_S,
  }
}

/** A token that was found good, and when it ends. */
interface GoodToken {
  readonly token: Uint8Array
  readonly endsMicros: number
}

/** Checks tokens, offline and in constant time; what it has found good once it knows by the bytes. */
export class TokenCheck {
  private readonly clock: Clock
  private readonly good = new Map<number, GoodToken>()
  private keys: readonly TokenKey[] | undefined
  private required = true

  constructor(clock: Clock) {
    this.clock = clock
  }

  /**
   * What a metadata service says; one that says nothing is of a version that knows no tokens. ● Until one has said
   * something nothing is allowed, and once tokens are required they stay so.
   */
  learn(keys: TokenKeys | undefined): void {
    const required = keys?.required === true
    if (this.keys !== undefined && this.required && !required) return
    this.required = required
    const told = keys?.keys ?? []
    if (this.keys !== undefined && areSame(this.keys, told)) return
    // A key that has gone leaves no token behind.
    this.good.clear()
    this.keys = told.map((key) => ({ ...key, secret: Uint8Array.from(key.secret) }))
  }

  allows(token: Uint8Array | undefined, scope: TokenScope): boolean {
    if (this.keys === undefined) return false
    if (!this.required) return true
    if (token?.length !== TOKEN_BYTES) return false
    const nowMicros = this.clock.wallMicros()
    const name = scope.method * 0x1_0000 + scope.group
    const known = this.good.get(name)
    if (known !== undefined && timingSafeEqual(known.token, token)) return known.endsMicros > nowMicros
    const view = new DataView(token.buffer, token.byteOffset, TOKEN_BYTES)
    const endsMicros = view.getUint32(9) * 1e6
    if (endsMicros <= nowMicros) return false
    const id = view.getUint32(3)
    const secret = this.keys.find((key) => key.id === id)?.secret
    if (secret === undefined || !isFor(view, scope) || !isGenuine(token, secret)) return false
    this.good.set(name, { token: Uint8Array.from(token), endsMicros })
    return true
  }
}

/** The same keys are told again with every answer. */
function areSame(known: readonly TokenKey[], told: readonly TokenKey[]): boolean {
  return (
    known.length === told.length &&
    known.every((key, at) => {
      const other = told[at]
      return key.id === other?.id && key.fromMs === other.fromMs && sameBytes(key.secret, other.secret)
    })
  )
}

/** The key by which something is made now; `undefined` only if there is none. */
export function keyInUse(keys: readonly TokenKey[], nowMs: number): TokenKey | undefined {
  // A clock that is behind may see the first key of a cluster before its time.
  return keys.findLast(({ fromMs }) => fromMs <= nowMs) ?? keys[0]
}

function makeToken({ id, secret }: TokenKey, { method, group }: TokenScope, expiryS: number): Uint8Array {
  const token = Buffer.alloc(TOKEN_BYTES)
  token.writeUInt8(VERSION, 0)
  token.writeUInt16BE(method, 1)
  token.writeUInt32BE(id, 3)
  token.writeUInt16BE(group, 7)
  token.writeUInt32BE(expiryS, 9)
  sign(token, secret).copy(token, HEAD_BYTES)
  return token
}

function isFor(view: DataView, { method, group }: TokenScope): boolean {
  return view.getUint8(0) === VERSION && view.getUint16(1) === method && view.getUint16(7) === group
}

function isGenuine(token: Uint8Array, secret: Uint8Array): boolean {
  return timingSafeEqual(sign(token, secret), token.subarray(HEAD_BYTES))
}

function sign(token: Uint8Array, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(CONTEXT).update(token.subarray(0, HEAD_BYTES)).digest()
}
