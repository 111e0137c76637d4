import { integer, type Message, message, optional, texts } from '../message.js'
import { TokenKeys } from './block-tokens.js'

/** The answer of methods that only succeed. */
export interface Done {
  readonly epoch?: number
  /** Addresses of the metadata services that live: in answers to heartbeats. */
  readonly services?: readonly string[]
  /** The clock of the answering service: in answers to renewals. See `Attempt.sinceMicros`. */
  readonly nowMicros?: number
  /** In answers to chunk servers. */
  readonly tokens?: TokenKeys
}
export const Done: Message<Done> = message<Done>('Done', 1, {
  epoch: optional(1, integer),
  services: optional(2, texts),
  nowMicros: optional(3, integer),
  tokens: optional(20, TokenKeys),
})
