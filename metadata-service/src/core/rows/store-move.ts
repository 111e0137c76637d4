/**
 * Rows that tell of a store's content having come from another one.
 *
 * While `m/move` stands, the store is being filled or emptied: no service may use it. Every step of that work rewrites
 * the row and is fenced by its former value, so two that work at once, or a step that arrives late, do no harm. The
 * last step removes it and leaves `m/moved`, all in one commit with the new incarnation.
 */
import { bytes, integer, type Message, message, oneOf, required, text } from '@cairn/protocol'
import type { StoreKey } from '../../ports.js'

export const MOVE_KEY: StoreKey = Buffer.from('m/move')
export const MOVED_KEY: StoreKey = Buffer.from('m/moved')

/** A migration leaves its source behind; a restore comes from a file, which stays what it is. */
export type MoveKind = 'migrate' | 'restore'

/** `m/move`: how far the work is. */
export interface MoveRow {
  /** Names the move over all attempts. */
  readonly id: string
  /** Names this attempt. */
  readonly run: Uint8Array
  readonly kind: MoveKind
  readonly state: 'copying' | 'undoing'
  /** Lineage of the source, and the revision of its last entry: it has not changed while both are the same. */
  readonly source: string
  readonly sourceHead: number
  /** The last key that was copied; empty before the first. */
  readonly after: Uint8Array
  /** Rows copied. */
  readonly rows: number
}
export const MoveRow: Message<MoveRow> = message<MoveRow>('MoveRow', 1, {
  id: required(1, text),
  run: required(2, bytes()),
  kind: required(3, oneOf<MoveKind>('migrate', 'restore')),
  state: required(4, oneOf<'copying' | 'undoing'>('copying', 'undoing')),
  source: required(5, text),
  sourceHead: required(6, integer),
  after: required(7, bytes()),
  rows: required(8, integer),
})

/** `m/moved`: where the content came from. Written by the entry that completed the move, and never again. */
export interface MovedRow {
  readonly id: string
  readonly kind: MoveKind
  readonly source: string
  readonly rows: number
  /** BLAKE3 of all keys and values that were copied, in hex. */
  readonly hash: string
  readonly atMs: number
}
export const MovedRow: Message<MovedRow> = message<MovedRow>('MovedRow', 1, {
  id: required(1, text),
  kind: required(2, oneOf<MoveKind>('migrate', 'restore')),
  source: required(3, text),
  rows: required(4, integer),
  hash: required(5, text),
  atMs: required(6, integer),
})
