/**
 * Small files as JSON with a check of their own, so that a flipped bit is told from what was written: a field
 * `check` holds the CRC32C of all other fields. Files without it, from before, are taken as they are.
 */
import { crc32c } from './checksum/unit-check.js'

/** Indented JSON with its check, ended by a line break. */
export function encodeCheckedJson(fields: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify({ ...fields, check: checkOf(fields) }, null, 2)}\n`
}

/** False if the fields are not those that were written. */
export function isCheckGood(found: Readonly<Record<string, unknown>>): boolean {
  const { check, ...fields } = found
  return check === undefined || check === checkOf(fields)
}

function checkOf(fields: Readonly<Record<string, unknown>>): string {
  return crc32c(Buffer.from(JSON.stringify(fields)))
    .toString(16)
    .padStart(8, '0')
}
