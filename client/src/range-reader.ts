/** Bytes of a version from its slices: in order, verified, counted, with at most one block read ahead. */
import { type BlockMap, type BlockSlice, CairnError, UNIT_BYTES } from '@cairn/protocol'
import type { CallControl, ReadRange } from './api.js'
import { slicesInRange } from './block-maps.js'
import { readBlockNow } from './block-now.js'
import { BlockReader } from './block-reader.js'
import type { ReadParts } from './parts.js'
import { throwIfCancelled } from './waiting.js'

/** What is read: a range of a version whose map must cover all its bytes. */
export interface VersionRange {
  readonly map: BlockMap
  readonly sizeBytes: number
  readonly range: ReadRange
}

/**
 * The bytes of a range. `InvalidArgument` if the version does not have it. Ends cleanly only after exactly `range.length` bytes; any shortage is an error. Leaving
 * the loop early cancels what is under way.
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
  let ahead: BlockReader | undefined
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

async function openNext(
  parts: ReadParts,
  pool: number,
  slices: AsyncGenerator<BlockSlice, void, undefined>,
  signal: AbortSignal | undefined,
): Promise<BlockReader | undefined> {
  const next = await slices.next()
  if (next.done) return undefined
  const { block, blockBytes, hash, offset, length } = next.value
  const read = { pool, block, blockBytes, hash, from: offset, to: offset + length }
  const reader = new BlockReader(parts, read, signal === undefined ? {} : { signal })
  reader.start()
  return reader
}
