/**
 * Version ids: seq ‖ op id, 24 bytes, as 48 hex digits on the outside. `seq` is max(the key's previous seq + 1,
 * clock in µs), so that a slow clock never sorts an acknowledged write below an older one. Upload ids have the
 * same form, with the time of initiation.
 */
import { CairnError, OP_ID_BYTES, type OpId } from '@cairn/protocol'

export const VERSION_ID_BYTES: number = 8 + OP_ID_BYTES

/** What S3 calls the version that was written while versioning was off or suspended. */
export const NULL_VERSION_ID = 'null'

export interface VersionStamp {
  /** Microseconds since 1970, or more: greater than that of every older version of the key. */
  readonly seq: number
  readonly op: OpId
}

/** The 24 bytes of a version id. */
export function versionIdBytes(stamp: VersionStamp): Uint8Array {
  const id = Buffer.allocUnsafe(VERSION_ID_BYTES)
  id.writeBigUInt64BE(BigInt(stamp.seq), 0)
  id.set(stamp.op, 8)
  return id
}

/** The text of a version id or upload id. */
export function formatVersionId(stamp: VersionStamp): string {
  return Buffer.from(versionIdBytes(stamp)).toString('hex')
}

/** `undefined` for what can be no version id (and for `null`, which is none of this form). */
export function parseVersionId(text: string): VersionStamp | undefined {
  if (text.length !== VERSION_ID_BYTES * 2 || !/^[0-9a-f]+$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'hex')
  const seq = bytes.readBigUInt64BE(0)
  if (seq > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  return { seq: Number(seq), op: bytes.subarray(8) as Uint8Array as OpId }
}

/** Like `parseVersionId`; `InvalidArgument` for anything else. */
export function requireVersionId(text: string): VersionStamp {
  const stamp = parseVersionId(text)
  if (stamp === undefined) throw new CairnError('InvalidArgument', `no version id: ${text.slice(0, 80)}`)
  return stamp
}

/** Text, taken as latin1, and byte strings in one. */
export function orderedBytes(head: string, ...rest: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([Buffer.from(head, 'latin1'), ...rest])
}
