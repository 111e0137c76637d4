/** What is told of block tokens: keys to those that make or check them, tokens to programs, which get no key. */
import { boolean, bytes, integer, list, type Message, message, required } from '../message.js'

/** One key of the rotating set. */
export interface TokenKey {
  readonly id: number
  readonly secret: Uint8Array
  /** Tokens are made with it from then on, ms since 1970; it is told earlier, so that all know it by then. */
  readonly fromMs: number
}
export const TokenKey: Message<TokenKey> = message<TokenKey>('TokenKey', 1, {
  id: required(1, integer),
  secret: required(2, bytes()),
  fromMs: required(3, integer),
})

/** The keys that are valid, oldest first, and whether blocks are read by token only. */
export interface TokenKeys {
  readonly required: boolean
  readonly keys: readonly TokenKey[]
}
export const TokenKeys: Message<TokenKeys> = message<TokenKeys>('TokenKeys', 1, {
  required: required(1, boolean),
  keys: list(2, TokenKey),
})

/** Asks for tokens to read the blocks of groups, at most LIST_PAGE_MAX. */
export interface GetBlockTokensRequest {
  readonly groups: readonly number[]
}
export const GetBlockTokensRequest: Message<GetBlockTokensRequest> = message<GetBlockTokensRequest>(
  'GetBlockTokensRequest',
  1,
  { groups: list(1, integer) },
)
/** One token for each group, in order; none at all while the cluster has none. */
export interface GetBlockTokensResponse {
  readonly tokens: readonly Uint8Array[]
}
export const GetBlockTokensResponse: Message<GetBlockTokensResponse> = message<GetBlockTokensResponse>(
  'GetBlockTokensResponse',
  1,
  { tokens: list(1, bytes()) },
)
