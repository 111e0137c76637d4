import { integer, type Message, message, optional } from '../message.js'

/** The answer of methods that only succeed. */
export interface Done {
  readonly epoch?: number
}
export const Done: Message<Done> = message<Done>('Done', 1, { epoch: optional(1, integer) })
