/**
 * Memory that bodies pass through, given back without waiting for the garbage collector: the buffers are large and
 * many, and collecting them takes more CPU than filling them.
 *
 * ● Freed memory is gone for every view of it. Only whoever made a buffer can say that nobody else will keep it:
 * either it frees it itself, or it makes it with `allocatePassing`, for one reader that gets all of it in pieces.
 */
import { MessageChannel } from 'node:worker_threads'

/** Smaller buffers are cheaper to collect than to give back one by one. */
const FREED_BYTES_MIN = 16 * 1024

/** Its other end is closed: what is transferred through it is freed at once (HTML, message port post steps). */
const drain = createDrain()

/** Bytes of passing buffers that their reader has not released yet. */
const unreleased = new WeakMap<ArrayBufferLike, number>()

/** Frees the bytes if they have their memory for themselves; else leaves them to the collector. */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer, length } = bytes
  if (length < FREED_BYTES_MIN || length !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return
  drain.postMessage(undefined, [buffer])
}

/** A buffer whose bytes go to one reader, piece by piece, and are kept by nobody else once they have gone. */
export function allocatePassing(sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  if (sizeBytes >= FREED_BYTES_MIN) unreleased.set(bytes.buffer, sizeBytes)
  return bytes
}

/** The reader needs this piece no more; with its last piece a passing buffer is freed. Others are left alone. */
export function releasePassing(piece: Uint8Array): void {
  const { buffer } = piece
  const left = unreleased.get(buffer)
  if (left === undefined) return
  if (left > piece.length) unreleased.set(buffer, left - piece.length)
  else {
    unreleased.delete(buffer)
    freeMemory(new Uint8Array(buffer))
  }
}

function createDrain(): MessageChannel['port1'] {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  return port1
}
