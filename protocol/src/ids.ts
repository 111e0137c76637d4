/**
 * Identifiers. All are raw bytes on the wire and in rows, lower-case hex in logs, paths and URLs.
 * A block id is session ‖ counter and is never reused: the session is 64 random bits, drawn for every run
 * of a writer, and the counter belongs to that run alone.
 */
import { CairnError } from './errors.js'

declare const brand: unique symbol
type Branded<Name extends string> = Uint8Array & { readonly [brand]: Name }

/** One running writer process: 8 random bytes. */
export type SessionId = Branded<'SessionId'>
/** Session ‖ counter: 16 bytes. */
export type BlockId = Branded<'BlockId'>
/** Names one write before its first attempt, and the block map it makes: session ‖ counter, 16 bytes. */
export type OpId = Branded<'OpId'>
/** One life of a bucket: 8 random bytes, so that a bucket made again never sees old rows. */
export type SpaceId = Branded<'SpaceId'>

export const SESSION_ID_BYTES = 8
export const BLOCK_ID_BYTES = 16
export const OP_ID_BYTES = 16
export const SPACE_ID_BYTES = 8

/** Joins a session and a counter, a safe integer, into a block id or an op id. */
export function sessionScopedId<Id extends BlockId | OpId>(session: SessionId, counter: number): Id {
  const id = Buffer.allocUnsafe(BLOCK_ID_BYTES)
  for (let at = 0; at < SESSION_ID_BYTES; at++) id[at] = session[at] ?? 0
  id.writeUInt32BE(Math.floor(counter / 2 ** 32), SESSION_ID_BYTES)
  id.writeUInt32BE(counter >>> 0, SESSION_ID_BYTES + 4)
  return id as Uint8Array as Id
}

/** The session that made a block or op id. */
export function sessionOf(id: BlockId | OpId): SessionId {
  return id.subarray(0, SESSION_ID_BYTES) as SessionId
}

/** Bytes as a key of a `Map`: as short, and in the same order. */
export function mapKey(bytes: Uint8Array): string {
  return bufferOf(bytes).toString('latin1')
}

/** Lower-case hex of any id. */
export function formatId(id: Uint8Array): string {
  return bufferOf(id).toString('hex')
}

/** Most are buffers already: another view of the memory would cost more than what is done with it. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Parses lower-case hex of exactly `sizeBytes`; throws `InvalidArgument` for anything else. */
export function parseId<Id extends Uint8Array>(text: string, sizeBytes: number): Id {
  const bytes = Buffer.from(text, 'hex')
  if (bytes.length !== sizeBytes || bytes.toString('hex') !== text) {
    throw new CairnError('InvalidArgument', `not an id of ${sizeBytes} bytes: ${text.slice(0, 80)}`)
  }
  return bytes as Uint8Array as Id
}

/** Shorter strings, such as ids and hashes, are compared sooner than native code is called. */
const NATIVE_BYTES_MIN = 48

/** Equality of two byte strings. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  const { length } = a
  if (length !== b.length) return false
  if (length >= NATIVE_BYTES_MIN) return Buffer.compare(a, b) === 0
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return false
  return true
}
