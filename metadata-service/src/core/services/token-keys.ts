/**
 * The keys of block tokens: one row in the store, the same for all services. Whichever service finds the newest key an
 * hour old adds another, which is used only once all have had time to hear of it; a key goes when no token made with it
 * can be valid any more. ● Keys come from the process's randomness and never leave the store but to metadata services,
 * chunk servers and gateways. Receipts of blocks are made with the same keys, and checked by the services for a day.
 */
import {
  bytes,
  type Clock,
  list,
  type Message,
  message,
  type Random,
  required,
  TokenKey,
} from '@cairn/protocol'
import type { KeyValueStore, StoreKey, StoreRow } from '../../ports.js'

const TOKEN_KEYS_KEY: StoreKey = Buffer.from('m/tokenkeys')
const SECRET_BYTES = 32
/** How long tokens are made with a key. */
const USE_MS = 3_600_000
/** Time in which all hear of a new key: gateways ask every 30 s, services look every minute. */
const NOTICE_MS = 300_000
/** Tokens end ten minutes after they were made; clocks may differ by five. */
const REST_MS = 900_000
/** Receipts of blocks are checked for so long after their key was followed by another: a write may take that long. */
const RECEIPT_MS = 86_400_000
/** How often the row is read again. */
const LOOK_MS = 60_000

interface TokenKeysRow {
  readonly keys: readonly TokenKey[]
  /** Names the last change: settles a lost answer. */
  readonly change: Uint8Array
  /** Keys before these, oldest first, by which receipts are still checked; told to nobody. */
  readonly former: readonly TokenKey[]
}

const TokenKeysRow: Message<TokenKeysRow> = message<TokenKeysRow>('TokenKeysRow', 1, {
  keys: list(1, TokenKey),
  change: required(2, bytes()),
  former: list(3, TokenKey),
})

export interface TokenKeyRingOptions {
  readonly store: KeyValueStore
  readonly clock: Clock
  readonly random: Random
}

export class TokenKeyRing {
  private readonly options: TokenKeyRingOptions
  private keys: readonly TokenKey[] = []
  private former: readonly TokenKey[] = []
  private lookedAtMs = Number.NEGATIVE_INFINITY
  private looking: Promise<void> | undefined

  constructor(options: TokenKeyRingOptions) {
    this.options = options
  }

  /**
   * The keys that are valid, oldest first, as of a minute ago. The first look is waited for; later ones go on beside,
   * so that nobody's beat waits for a store that does not answer.
   */
  async current(): Promise<readonly TokenKey[]> {
    const { clock } = this.options
    if (this.looking === undefined && clock.monotonicMs() - this.lookedAtMs >= LOOK_MS) {
      this.looking = this.look().finally(() => {
        this.looking = undefined
      })
      this.looking.catch(() => undefined)
    }
    if (this.keys.length === 0) await this.looking
    return this.keys
  }

  /** The keys by which receipts of blocks are checked, those of the last day too. */
  async forReceipts(): Promise<readonly TokenKey[]> {
    const keys = await this.current()
    return [...this.former, ...keys]
  }

  private async look(): Promise<void> {
    const { store, clock } = this.options
    const { results } = await store.readAuthority([{ kind: 'get', key: TOKEN_KEYS_KEY }])
    const row = results[0]?.[0]
    const known = row === undefined ? NO_KEYS : TokenKeysRow.decode(row.value)
    const { keys, former } = await this.renewed(row, known)
    this.keys = keys
    this.former = former
    this.lookedAtMs = clock.monotonicMs()
  }

  /** Adds a key if it is time. If another service did so at this moment, its key is read at the next look. */
  private async renewed(row: StoreRow | undefined, known: KnownKeys): Promise<KnownKeys> {
    const { store, random } = this.options
    const nowMs = Math.floor(this.options.clock.wallMicros() / 1000)
    const newest = known.keys.at(-1)
    if (newest !== undefined && newest.fromMs + USE_MS - NOTICE_MS > nowMs) return known
    const key = TOKEN_KEYS_KEY
    const all = [...known.former, ...known.keys]
    const kept = all.filter(isOfUse(all, nowMs - REST_MS))
    const former = all.filter(isOfUse(all, nowMs - RECEIPT_MS)).filter((each) => !kept.includes(each))
    const keys = [...kept, newKey(random, newest, nowMs)]
    const change = random.bytes(16)
    const value = TokenKeysRow.encode({ keys, change, former })
    const result = await store.commit({
      compares: [
        row === undefined ? { kind: 'absent', key } : { kind: 'revision', key, revision: row.revision },
      ],
      puts: [{ key, value }],
      proof: {
        keys: [key],
        carries: ([found]) => found !== undefined && Buffer.compare(found.value, value) === 0,
      },
    })
    if (result.committed) return { keys, former }
    const other = result.rows[0]
    return other === undefined ? known : TokenKeysRow.decode(other.value)
  }
}

type KnownKeys = Pick<TokenKeysRow, 'keys' | 'former'>

const NO_KEYS: KnownKeys = { keys: [], former: [] }

/**
 * A key is kept until what was made with it has ended: another has followed it that was in use at this time already.
 */
function isOfUse(keys: readonly TokenKey[], followedMs: number): (key: TokenKey, at: number) => boolean {
  return (_key, at) => {
    const next = keys[at + 1]
    return next === undefined || next.fromMs > followedMs
  }
}

function newKey(random: Random, newest: TokenKey | undefined, nowMs: number): TokenKey {
  const fromMs = newest === undefined ? nowMs : Math.max(nowMs + NOTICE_MS, newest.fromMs + 1)
  return { id: (newest?.id ?? 0) + 1, secret: random.bytes(SECRET_BYTES), fromMs }
}
