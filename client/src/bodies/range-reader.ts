/** Bytes of a version from its slices: in order, verified, counted, with at most one block read ahead. */
import { type BlockMap, type BlockSlice, CairnError, UNIT_BYTES } from '@cairn/protocol'
import type { CallControl, ReadRange } from '../api.js'
import { readBlockNow } from '../blocks/block-now.js'
import { BlockReader, type BlockReaderOptions } from '../blocks/block-reader.js'
import type { RecentBlock } from '../blocks/recent-blocks.js'
import type { BlockRead } from '../blocks/replica-read.js'
import type { ReadParts } from '../parts.js'
import { throwIfCancelled } from '../waiting.js'
import { slicesInRange } from './block-maps.js'

/** What is read: a range of a version whose map must cover all its bytes. */
export interface VersionRange {
  readonly map: BlockMap
  readonly sizeBytes: number
  readonly range: ReadRange
}

/**
 * The bytes of a range. `InvalidArgument` if the version does not have it. Ends cleanly only after exactly
 * `range.length` bytes; any shortage is an error. Leaving the loop early cancels what is under way.
 */
export async function* readRange(
  parts: ReadParts,
  { map, sizeBytes, range }: VersionRange,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  throwIfCancelled(signal)
  assertInside(range, sizeBytes)
  if (range.length === 0) return
  const slices = slicesInRange(parts, map, range, signal)
  let current = await openNext(parts, map.pool, slices, signal)
  let ahead: BytesReader | undefined
  let sentBytes = 0
  try {
    while (current !== undefined) {
      ahead = await openNext(parts, map.pool, slices, signal)
      for (let bytes = await current.next(); bytes !== undefined; bytes = await current.next()) {
        sentBytes += bytes.length
        yield bytes
      }
      current = ahead
      ahead = undefined
    }
  } finally {
    current?.leave()
    ahead?.leave()
  }
  if (sentBytes !== range.length) {
    throw new CairnError('BlockUnavailable', `the block map covers ${sentBytes} of ${range.length} bytes`)
  }
}

/**
 * The same bytes in one piece, if they lie in one unit of one slice: themselves if they are at hand, or one promise
 * instead of a stream, which alone can be cancelled. `undefined` if they do not.
 */
export function readAtOnce(
  parts: ReadParts,
  { map, sizeBytes, range }: VersionRange,
  control: CallControl = {},
): Uint8Array | Promise<Uint8Array> | undefined {
  const [slice] = map.slices
  if (slice === undefined || map.slices.length > 1 || map.pages.length > 0 || range.length === 0)
    return undefined
  const from = slice.offset + range.offset
  const to = from + range.length
  const isOneUnit = Math.floor(from / UNIT_BYTES) === Math.floor((to - 1) / UNIT_BYTES)
  if (!isOneUnit || range.offset < 0 || range.offset + range.length > Math.min(sizeBytes, slice.length))
    return undefined
  const { block, blockBytes, hash } = slice
  const read = { pool: map.pool, block, blockBytes, hash, from, to }
  const atHand = readBlockNow(parts, read)
  if (atHand?.length === range.length) return atHand
  // To ask for the signal may cost as much as all that came before.
  const { signal } = control
  throwIfCancelled(signal)
  return readWhole(new BlockReader(parts, read, signal === undefined ? {} : { signal }), range.length)
}

async function readWhole(reader: BlockReader, length: number): Promise<Uint8Array> {
  try {
    reader.start()
    const bytes = await reader.next()
    if (bytes?.length === length) return bytes
    throw new CairnError('BlockUnavailable', `a block gave ${bytes?.length ?? 0} of ${length} bytes`)
  } finally {
    reader.leave()
  }
}

/** `InvalidArgument` unless the range lies in a version of so many bytes. */
export function assertInside({ offset, length }: ReadRange, sizeBytes: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= sizeBytes) return
  throw new CairnError('InvalidArgument', `a version of ${sizeBytes} bytes has no range ${offset}+${length}`)
}

/** Some bytes of a block, one piece after the other. */
interface BytesReader {
  /** `undefined` after the last ones. */
  next(): Promise<Uint8Array | undefined>
  /** Gives up the rest. */
  leave(): void
}

async function openNext(
  parts: ReadParts,
  pool: number,
  slices: AsyncGenerator<BlockSlice, void, undefined>,
  signal: AbortSignal | undefined,
): Promise<BytesReader | undefined> {
  const next = await slices.next()
  if (next.done) return undefined
  const { block, blockBytes, hash, offset, length } = next.value
  const read = { pool, block, blockBytes, hash, from: offset, to: offset + length }
  const options = signal === undefined ? {} : { signal }
  const recent = parts.recent?.find(block, hash)
  if (recent !== undefined) return new RecentReader(parts, { read, recent, options })
  const reader = new BlockReader(parts, read, options)
  reader.start()
  return reader
}

/** Reads a block that was written lately from memory; what is not there any more, from the drives. */
class RecentReader implements BytesReader {
  private readonly parts: ReadParts
  private readonly source: RecentSource
  private at: number
  private rest: BlockReader | undefined

  constructor(parts: ReadParts, source: RecentSource) {
    this.parts = parts
    this.source = source
    this.at = source.read.from
  }

  async next(): Promise<Uint8Array | undefined> {
    const { read, recent, options } = this.source
    if (this.rest !== undefined) return this.rest.next()
    throwIfCancelled(options.signal)
    if (this.at >= read.to) return undefined
    const bytes = this.parts.recent?.lend(recent, this.at, read.to)
    if (bytes !== undefined) {
      this.at += bytes.length
      return bytes
    }
    this.rest = new BlockReader(this.parts, { ...read, from: this.at }, options)
    return this.rest.next()
  }

  leave(): void {
    this.rest?.leave()
  }
}

/** What a `RecentReader` reads, and how the drives are asked. */
interface RecentSource {
  readonly read: BlockRead
  readonly recent: RecentBlock
  readonly options: BlockReaderOptions
}
