/**
 * Memory that bodies pass through, given back without waiting for the garbage collector: the buffers are large and
 * many, and collecting them takes more CPU than filling them. Some are kept for the next body: memory that is asked
 * of the system anew has to be found and cleared page by page.
 *
 * ● Freed memory is gone for every view of it, and what was released may be filled again. Only whoever made a buffer
 * can say that nobody else will keep it: either it frees it itself, or it makes it with `allocatePassing`, for one
 * reader that gets all of it in pieces, and releases each of them once, when nothing reads it any more.
 */
import { MessageChannel } from 'node:worker_threads'

/** Smaller buffers are cheaper to collect than to give back one by one. */
const FREED_BYTES_MIN = 16 * 1024

/** Buffers kept of each size, a power of two: with those of the largest pieces in use some 16 MiB. */
const KEPT_OF_SIZE_MAX = 16

/** One message for several buffers costs a third of one for each. */
const FREED_AT_ONCE = 8

/** Buffers to be freed with the next ones. */
let waste: ArrayBuffer[] = []

/** Its other end is closed: what is transferred through it is freed at once (HTML, message port post steps). */
const drain = createDrain()

/** Bytes of passing buffers that their reader has not released yet. */
const unreleased = new WeakMap<ArrayBufferLike, number>()

/** Bytes lent of memory that has an owner, and not released yet. */
const lent = new WeakMap<ArrayBufferLike, number>()

/** Buffers to be filled again, by their size. */
const kept = new Map<number, ArrayBuffer[]>()

/** Frees the bytes, soon, if they have their memory for themselves; else leaves them to the collector. */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer, length } = bytes
  if (length < FREED_BYTES_MIN || length !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return
  waste.push(buffer)
  if (waste.length < FREED_AT_ONCE) return
  drain.postMessage(undefined, waste)
  waste = []
}

/** Bytes, of any content, that go to one reader, piece by piece, and are kept by nobody else once they have gone. */
export function allocatePassing(sizeBytes: number): Buffer {
  if (sizeBytes < FREED_BYTES_MIN) return Buffer.allocUnsafeSlow(sizeBytes)
  const capacity = 2 ** Math.ceil(Math.log2(sizeBytes))
  const buffer = kept.get(capacity)?.pop() ?? Buffer.allocUnsafeSlow(capacity).buffer
  unreleased.set(buffer, sizeBytes)
  return Buffer.from(buffer, 0, sizeBytes)
}

/** Lends a piece of memory that its owner keeps; whoever gets it may release it, like a piece that passes. */
export function lendMemory(piece: Uint8Array): void {
  lent.set(piece.buffer, (lent.get(piece.buffer) ?? 0) + piece.length)
}

/** Whether pieces of this memory are lent and may still be read. */
export function isLent({ buffer }: Uint8Array): boolean {
  return (lent.get(buffer) ?? 0) > 0
}

/** The reader needs this piece no more; with its last piece a passing buffer may be filled again. */
export function releasePassing(piece: Uint8Array): void {
  const { buffer } = piece
  const left = unreleased.get(buffer)
  if (left === undefined) returnLent(piece)
  else if (left > piece.length) unreleased.set(buffer, left - piece.length)
  else {
    unreleased.delete(buffer)
    if (buffer instanceof ArrayBuffer) keep(buffer)
  }
}

function returnLent({ buffer, length }: Uint8Array): void {
  const bytes = lent.get(buffer)
  if (bytes !== undefined) lent.set(buffer, bytes - length)
}

function keep(buffer: ArrayBuffer): void {
  const ofSize = kept.get(buffer.byteLength) ?? []
  kept.set(buffer.byteLength, ofSize)
  if (ofSize.length < KEPT_OF_SIZE_MAX) ofSize.push(buffer)
  else freeMemory(new Uint8Array(buffer))
}

function createDrain(): MessageChannel['port1'] {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  return port1
}
