/**
 * Messages that come several times in a row: the owner of a block goes to each of its replicas, and from there into
 * its record. The last one is neither encoded nor decoded again. Its values must not change once they were written
 * or read, as all messages' values must not.
 */
import type { Message } from './message.js'

interface Known<T> {
  readonly value: T
  readonly encoded: Uint8Array
}

/** The same message with a memory of one value in each direction. */
export function repeated<T extends object>(inner: Message<T>): Message<T> {
  let written: Known<T> | undefined
  let read: Known<T> | undefined

  /** How this version writes what it read: that may not be how it came. */
  let rewritten: Known<T> | undefined

  function encode(value: T): Uint8Array {
    if (read?.value === value) {
      if (rewritten?.value !== value) rewritten = { value, encoded: inner.encode(value) }
      return rewritten.encoded
    }
    if (written?.value !== value) written = { value, encoded: inner.encode(value) }
    return written.encoded
  }

  function decode(encoded: Uint8Array): T {
    if (read === undefined || Buffer.compare(read.encoded, encoded) !== 0) {
      const copy = Uint8Array.from(encoded)
      read = { encoded: copy, value: inner.decode(copy) }
    }
    return read.value
  }

  return {
    name: inner.name,
    wire: inner.wire,
    encode,
    decode,
    write: (writer, value) => writer.bytes(encode(value)),
    read: (reader) => decode(reader.bytes()),
  }
}

/** A message whose sender may keep values, to be encoded once however often they are sent. */
export interface KeptMessage<T> extends Message<T> {
  /** Encodes the value now; `encode` then gives the same bytes for as long as the value lives. It must not change. */
  keep(value: T): T
}

/** The same message for a sender that keeps some of its values. */
export function kept<T extends object>(inner: Message<T>): KeptMessage<T> {
  const known = new WeakMap<T, Uint8Array>()
  return {
    ...inner,
    encode: (value) => known.get(value) ?? inner.encode(value),
    keep(value) {
      const encoded = inner.encode(value)
      // Outside the pool that small buffers share: one that is kept would keep all of them.
      const copy = Buffer.allocUnsafeSlow(encoded.length)
      copy.set(encoded)
      known.set(value, copy)
      return value
    },
  }
}
