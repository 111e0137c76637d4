/** The change record of an entry: one row `c/…` for all of its commits, for whoever follows the changes. */
import { list, type Message, message, bytes as rawBytes } from '@cairn/protocol'

/** What the commits of one entry said about themselves, in their order. */
export interface ChangeRecord {
  readonly changes: readonly Uint8Array[]
}

export const ChangeRecord: Message<ChangeRecord> = message<ChangeRecord>('ChangeRecord', 1, {
  changes: list(1, rawBytes()),
})
