/**
 * Gives memory back without waiting for the garbage collector. Bodies pass through buffers of 64 KiB and more, made
 * by Node for each piece; collecting them takes more CPU than receiving them.
 */
import { MessageChannel } from 'node:worker_threads'

/** Smaller pieces are cheaper to collect than to give back one by one. */
const FREED_BYTES_MIN = 16 * 1024

/** Its other end is closed: what is transferred through it is freed at once (HTML, 9.4.3, message port post steps). */
const drain = createDrain()

/**
 * Frees the bytes, if they have their memory for themselves. They are gone for every view of them: only for memory
 * that nobody else can know.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer, length } = bytes
  if (length < FREED_BYTES_MIN || length !== buffer.byteLength || !(buffer instanceof ArrayBuffer)) return
  drain.postMessage(undefined, [buffer])
}

function createDrain(): MessageChannel['port1'] {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  return port1
}
