/**
 * What a commit reads and writes, and whether two commits may share an entry: only if neither writes what the
 * other compares, reads or writes. All compares of an entry see the state before it, so `if bucket@r: delete
 * bucket` and `if bucket@r: put object` in one entry would both succeed. Rows that nobody writes may be compared
 * by many. Keys are held as Latin-1 text: its order is byte order.
 */
import { CairnError, mapKey } from '@cairn/protocol'
import type { Commit, StoreRange } from '../../ports.js'
import { STORE_KEY_BYTES_MAX } from './commit-limits.js'

/** All keys k with `from` <= k < `to`, as Latin-1 text. */
export interface TextRange {
  readonly from: string
  readonly to: string
}

/**
 * Rows and ranges that one commit compares (`reads`) and changes (`writes`). What it writes anyway need not be among
 * its reads: whoever may not touch a row that is read may not touch one that is written.
 */
export interface Footprint {
  readonly reads: readonly string[]
  readonly writes: readonly string[]
  readonly readRanges: readonly TextRange[]
  readonly writeRanges: readonly TextRange[]
}

/** `InvalidArgument` when a key is written twice, lies in a range that the same commit deletes, or is too long. */
export function footprintOf(commit: Commit): Footprint {
  const writes: string[] = []
  for (const put of commit.puts ?? []) writes.push(mapKey(put.key))
  for (const key of commit.deletes ?? []) writes.push(mapKey(key))
  const reads: string[] = []
  const readRanges: TextRange[] = []
  const first = commit.puts?.[0]?.key
  for (const compare of commit.compares) {
    if (compare.kind === 'empty') readRanges.push(textRange(compare.range))
    else if (compare.key !== first) reads.push(mapKey(compare.key))
  }
  const writeRanges = (commit.deleteRanges ?? []).map(textRange)
  const footprint = { reads, writes, readRanges, writeRanges }
  assertWrites(footprint)
  return footprint
}

function assertWrites({ writes, writeRanges }: Footprint): void {
  const twice =
    (writes.length > 1 && new Set(writes).size !== writes.length) ||
    writes.some((key) => isCovered(writeRanges, key)) ||
    writeRanges.some((range, at) => writeRanges.slice(at + 1).some((other) => overlap(range, other)))
  if (twice) throw new CairnError('InvalidArgument', 'a commit writes a key twice')
  if (writes.some((key) => key.length === 0 || key.length > STORE_KEY_BYTES_MAX)) {
    throw new CairnError('InvalidArgument', 'a store key is empty or too long')
  }
}

/** The joint footprint of many commits. */
export class FootprintSet {
  private readonly reads = new Set<string>()
  private readonly writes = new Set<string>()
  private readonly readRanges: TextRange[] = []
  private readonly writeRanges: TextRange[] = []

  add(footprint: Footprint): void {
    for (const key of footprint.reads) this.reads.add(key)
    for (const key of footprint.writes) this.writes.add(key)
    this.readRanges.push(...footprint.readRanges)
    this.writeRanges.push(...footprint.writeRanges)
  }

  clear(): void {
    this.reads.clear()
    this.writes.clear()
    this.readRanges.length = 0
    this.writeRanges.length = 0
  }

  conflictsWith(footprint: Footprint): boolean {
    return (
      footprint.writes.some((key) => this.isTouched(key)) ||
      footprint.reads.some((key) => this.isWritten(key)) ||
      footprint.readRanges.some((range) => this.isWrittenWithin(range)) ||
      footprint.writeRanges.some((range) => this.isTouchedWithin(range))
    )
  }

  private isWritten(key: string): boolean {
    return this.writes.has(key) || isCovered(this.writeRanges, key)
  }

  private isTouched(key: string): boolean {
    return this.isWritten(key) || this.reads.has(key) || isCovered(this.readRanges, key)
  }

  private isWrittenWithin(range: TextRange): boolean {
    return hasWithin(this.writes, range) || this.writeRanges.some((other) => overlap(range, other))
  }

  private isTouchedWithin(range: TextRange): boolean {
    return (
      this.isWrittenWithin(range) ||
      hasWithin(this.reads, range) ||
      this.readRanges.some((other) => overlap(range, other))
    )
  }
}

function isCovered(ranges: readonly TextRange[], key: string): boolean {
  for (const range of ranges) if (range.from <= key && key < range.to) return true
  return false
}

function hasWithin(keys: ReadonlySet<string>, range: TextRange): boolean {
  for (const key of keys) if (range.from <= key && key < range.to) return true
  return false
}

function overlap(a: TextRange, b: TextRange): boolean {
  return a.from < b.to && b.from < a.to
}

function textRange(range: StoreRange): TextRange {
  return { from: mapKey(range.from), to: mapKey(range.to) }
}
