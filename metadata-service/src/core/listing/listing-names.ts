/**
 * What a listing looks at: keys by prefix, in byte order, rolled up at a delimiter. Names here are `<space><key>`,
 * what `o/` and `v/` rows have in common, so one position serves both.
 */
import { CairnError, KEY_BYTES_MAX, LIST_PAGE_MAX, SPACE_ID_BYTES, type SpaceId } from '@cairn/protocol'
import type { RollUp } from '../../ports.js'
import { successorOfPrefix } from '../rows/keys.js'
import { checkText } from '../versions/resolve.js'

/** What all listings of keys have in common. */
export interface ListingRequest {
  readonly prefix: string
  readonly delimiter: string
  readonly limit: number
}

/** Sorts below every byte that a key may hold, but above the NUL that ends the key of a `v/` row. */
const AFTER_NUL = Uint8Array.of(1)

/** `InvalidArgument` for a limit out of range, and for text that no key can hold. */
export function checkListing(request: ListingRequest, ...markers: readonly string[]): void {
  const { limit } = request
  if (!Number.isInteger(limit) || limit < 0 || limit > LIST_PAGE_MAX) {
    throw new CairnError('InvalidArgument', `a page has 0 to ${LIST_PAGE_MAX} entries, not ${limit}`)
  }
  for (const text of [request.prefix, request.delimiter, ...markers]) checkText(text, 'listing')
}

/** The names of one listing. */
export class ListingNames {
  /** The first name that may be listed, and the first that may not. */
  readonly from: Uint8Array
  readonly to: Uint8Array
  private readonly delimiter: Buffer
  private readonly prefixEnd: number

  constructor(space: SpaceId, { prefix, delimiter }: ListingRequest) {
    this.from = nameOf(space, prefix)
    this.to = successorOfPrefix(this.from)
    this.delimiter = Buffer.from(delimiter, 'utf8')
    this.prefixEnd = this.from.length
  }

  /** Where the common prefix of a name ends; -1 if it is listed by itself. */
  groupEnd(name: Buffer): number {
    if (this.delimiter.length === 0) return -1
    const at = name.indexOf(this.delimiter, this.prefixEnd)
    return at < 0 ? -1 : at + this.delimiter.length
  }

  /** How a store may skip groups in rows whose keys have `keyOffset` bytes before the name. */
  rollUp(keyOffset: number): RollUp | undefined {
    if (this.delimiter.length === 0) return undefined
    return { from: keyOffset + this.prefixEnd, delimiter: this.delimiter }
  }

  /** The first name behind a group that ends at `end` of one of its names. */
  afterGroup(name: Uint8Array, end: number): Uint8Array {
    return successorOfPrefix(name.subarray(0, end))
  }

  /**
   * The first name after `after` with all that belongs to it: its versions, and what is below it if it is a common
   * prefix of this listing. Never before `from`.
   */
  startAfter(space: SpaceId, after: string): Uint8Array {
    if (after === '') return this.from
    const name = nameOf(space, after)
    const isGroup = startsWith(name, this.from) && this.groupEnd(name) === name.length
    const next = isGroup ? successorOfPrefix(name) : afterName(name)
    return Buffer.compare(next, this.from) > 0 ? next : this.from
  }
}

/** `<space><key>`, cut after as many bytes as decide its place among keys of legal length. */
export function nameOf(space: SpaceId, key: string): Buffer {
  const bytes = Buffer.from(key, 'utf8').subarray(0, KEY_BYTES_MAX + 1)
  return Buffer.concat([space, bytes])
}

/** The first place after a name and its versions. */
export function afterName(name: Uint8Array): Uint8Array {
  return Buffer.concat([name, AFTER_NUL])
}

/** The key in a name. */
export function keyOfName(name: Buffer, end: number = name.length): string {
  return name.toString('utf8', SPACE_ID_BYTES, end)
}

/** A view of a byte string with the methods of `Buffer`. */
export function viewOf(bytes: Uint8Array, from = 0, to: number = bytes.length): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from)
}

function startsWith(name: Uint8Array, prefix: Uint8Array): boolean {
  return name.length >= prefix.length && Buffer.compare(name.subarray(0, prefix.length), prefix) === 0
}
