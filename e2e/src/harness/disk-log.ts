/** Reads the log of the disk shim. */
import { readFile } from 'node:fs/promises'

/**
 * `open` (`truncated`: with O_TRUNC), `close`, `write`, sync `begin` and `end`, `rename`, `link`, `unlink`, `truncate`,
 * `mkdir`, `rmdir`, and `killed` where the shim ended the process.
 */
export type DiskChange =
  | 'open'
  | 'truncated'
  | 'close'
  | 'write'
  | 'begin'
  | 'end'
  | 'rename'
  | 'link'
  | 'unlink'
  | 'truncate'
  | 'mkdir'
  | 'rmdir'
  | 'killed'

const KINDS: Readonly<Record<string, DiskChange>> = {
  O: 'open',
  T: 'truncated',
  C: 'close',
  W: 'write',
  S: 'begin',
  E: 'end',
  R: 'rename',
  N: 'link',
  U: 'unlink',
  L: 'truncate',
  D: 'mkdir',
  X: 'rmdir',
  K: 'killed',
}

export interface DiskRecord {
  readonly kind: DiskChange
  /** -1 for calls by name. */
  readonly descriptor: number
  /** 0 for success. */
  readonly error: number
  /** Which call of its class it was; 0 for calls that are not counted. */
  readonly number: number
  /** CLOCK_MONOTONIC in nanoseconds, as `process.hrtime.bigint()` has it. */
  readonly atNs: bigint
  /** Of a write; the new size of a truncate; 1 for an open that may create. */
  readonly offset: number
  readonly path: string
  /** The new name of a rename or link. */
  readonly other: string
  /** Bytes written, if they were logged. */
  readonly data: Buffer
}

const HEADER_BYTES = 38

/** All whole records, in order. */
export async function readDiskLog(path: string): Promise<DiskRecord[]> {
  const bytes = await readFile(path)
  const records: DiskRecord[] = []
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const total = bytes.readUInt32LE(at)
    if (at + total > bytes.length) break
    records.push(parse(bytes.subarray(at, at + total)))
    at += total
  }
  return records
}

function parse(record: Buffer): DiskRecord {
  const pathEnd = HEADER_BYTES + record.readUInt16LE(6)
  const otherEnd = pathEnd + record.readUInt16LE(8)
  return {
    kind: KINDS[String.fromCharCode(record[4] ?? 0)] ?? 'killed',
    descriptor: record.readInt32LE(10),
    error: record.readInt32LE(14),
    number: record.readUInt32LE(18),
    atNs: record.readBigUInt64LE(22),
    offset: Number(record.readBigUInt64LE(30)),
    path: record.toString('utf8', HEADER_BYTES, pathEnd),
    other: record.toString('utf8', pathEnd, otherEnd),
    data: record.subarray(otherEnd),
  }
}
