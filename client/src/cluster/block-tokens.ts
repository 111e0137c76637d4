/**
 * The tokens by which this client reads blocks: made with the cluster's keys, or asked for by a program without keys.
 */
import {
  type Clock,
  GROUPS_PER_POOL,
  getBlock,
  getBlockTokens,
  hasCode,
  LIST_PAGE_MAX,
  type TokenKeys,
  TokenMint,
} from '@cairn/protocol'
import type { MetadataCaller } from './metadata-caller.js'

/** A token asked for is used so long: half of what it is good for at least. */
const KEEP_MS = 150_000
/** Groups asked for at once: the neighbours will be read too. */
const GROUPS_AT_ONCE: number = Math.min(256, LIST_PAGE_MAX)

export interface BlockTokensOptions {
  readonly metadata: MetadataCaller
  readonly clock: Clock
  /** In which role the metadata service knows this client. */
  readonly role: string
}

interface Page {
  readonly asked: Promise<readonly Uint8Array[]>
  readonly untilMs: number
}

export class BlockTokens {
  private readonly options: BlockTokensOptions
  private readonly mint: TokenMint
  private readonly pages = new Map<number, Page>()

  constructor(options: BlockTokensOptions) {
    this.options = options
    this.mint = new TokenMint(options.clock)
  }

  /** What came with the cluster map. */
  learn(keys: TokenKeys | undefined): void {
    this.mint.learn(keys)
  }

  /** To read blocks of a group; `undefined` while the cluster wants none. */
  tokenOf(group: number): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (this.options.role === 'client') return this.askedToken(group)
    return this.mint.tokenOf({ method: getBlock.number, group })
  }

  private async askedToken(group: number): Promise<Uint8Array | undefined> {
    const first = group - (group % GROUPS_AT_ONCE)
    const nowMs = this.options.clock.monotonicMs()
    let page = this.pages.get(first)
    if (page === undefined || page.untilMs <= nowMs) {
      page = { asked: this.ask(first), untilMs: nowMs + KEEP_MS }
      this.pages.set(first, page)
      page.asked.catch(() => this.pages.delete(first))
    }
    return (await page.asked)[group - first]
  }

  private async ask(first: number): Promise<readonly Uint8Array[]> {
    const count = Math.min(GROUPS_AT_ONCE, GROUPS_PER_POOL - first)
    const groups = Array.from({ length: count }, (_, at) => first + at)
    try {
      const { tokens } = await this.options.metadata.read(getBlockTokens, { groups })
      return tokens.map((token) => Uint8Array.from(token))
    } catch (error) {
      // A service of a version before tokens, whose cluster wants none.
      if (hasCode(error, 'NoSuchMethod')) return []
      throw error
    }
  }
}
