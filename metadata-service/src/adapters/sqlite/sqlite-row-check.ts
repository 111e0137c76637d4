/**
 * The check of a row in SQLite, whose pages have none: the value is stored with a CRC32C of key and value behind it,
 * little endian. So a flipped bit is an error with a name, never another value.
 */
import { CairnError, crc32c } from '@cairn/protocol'
import type { StoreKey } from '../../ports.js'

/** What stands behind a value. */
export const CHECK_BYTES = 4

/** The value as it is stored under this key. */
export function sealValue(key: StoreKey, value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(value.length + CHECK_BYTES)
  sealed.set(value)
  sealed.writeUInt32LE(crc32c(value, crc32c(key)), value.length)
  return sealed
}

/** The value of a stored row, as a view of it. `MessageCorrupt` if it is not what was written under this key. */
export function openValue(key: StoreKey, sealed: Buffer): Buffer {
  const size = sealed.length - CHECK_BYTES
  const value = sealed.subarray(0, Math.max(0, size))
  if (size >= 0 && crc32c(value, crc32c(key)) === sealed.readUInt32LE(size)) return value
  throw damagedRow()
}

/** `MessageCorrupt` unless these bytes are a key with the value stored under it. */
export function assertSealed(keyAndSealed: Buffer): void {
  const size = keyAndSealed.length - CHECK_BYTES
  const sound = size >= 0 && crc32c(keyAndSealed.subarray(0, size)) === keyAndSealed.readUInt32LE(size)
  if (!sound) throw damagedRow()
}

/** `MessageCorrupt`, and what helps. */
export function damagedRow(): CairnError {
  return new CairnError(
    'MessageCorrupt',
    'a row of the metadata store is damaged: stop the server and run "cairn metadata recover"',
  )
}
