/**
 * Long scans in one result: SQLite puts the keys and values of all rows into one blob, and their numbers into lists. To
 * make two buffers and a row in the binding costs five times as much as SQLite itself needs to find the row.
 */
import type { StoreRow } from '../../ports.js'
import { assertSealed, CHECK_BYTES } from './sqlite-row-check.js'

/** Fewer rows are read one by one: a row that is kept keeps the bytes of all the rows it came with. */
export const PACKED_ROWS_MIN = 32

/** So many of the largest rows (0.4 MB) are no more than half of what SQLite can put into one value (1 GB). */
export const PACKED_ROWS_MAX = 1_024

/** One row for all; the bytes are null if there are none. */
export type PackedRows = [
  bytes: Buffer | null,
  keySizes: string,
  valueSizes: string,
  revisions: string,
  created: string,
]

/**
 * The statement for the rows of `select`, which gives key, value, revision and created in order: an aggregate takes
 * the rows of a limited subquery as they come. The values are the sealed ones, and concatenation leaves bytes alone.
 */
export function packedRows(select: string): string {
  const list = (content: string): string => `json_group_array(${content})`
  const numbers = [list('length(key)'), list('length(value)'), list('revision'), list('created')].join(', ')
  return `SELECT CAST(group_concat(key || value, '') AS BLOB), ${numbers} FROM (${select})`
}

/** The rows of such a result, as views of it. `MessageCorrupt` if one is not what was written. */
export function unpackRows([bytes, ...lists]: PackedRows): StoreRow[] {
  if (bytes === null) return []
  const [keySizes = [], valueSizes = [], revisions = [], created = []] = lists.map(
    (text) => JSON.parse(text) as number[],
  )
  let at = 0
  return keySizes.map((keySize, index) => {
    const from = at
    const valueFrom = from + keySize
    at = valueFrom + (valueSizes[index] ?? 0)
    assertSealed(bytes.subarray(from, at))
    return {
      key: bytes.subarray(from, valueFrom),
      value: bytes.subarray(valueFrom, at - CHECK_BYTES),
      revision: revisions[index] ?? 0,
      created: created[index] ?? 0,
    }
  })
}
