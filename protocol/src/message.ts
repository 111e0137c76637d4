/**
 * The codec of every message on the wire and every row in the store.
 *
 * An encoded value is one format byte, then fields of tag (number × 8 + wire type, varint) and content, the
 * layout of Protocol Buffers: varints, 8-byte little-endian words and length-delimited bytes. Field numbers are
 * for ever. A field that this version does not know is kept under `UNKNOWN_FIELDS` and written again, so that an
 * older service can rewrite a newer row without loss. A format byte above ours is `FormatTooNew`.
 *
 * Source of the layout: https://protobuf.dev/programming-guides/encoding/
 */
import { CairnError } from './errors.js'
import { Reader, WIRE_BYTES, WIRE_VARINT, WIRE_WORD, type WireType, Writer } from './message-bytes.js'
import { type FieldEntry, makeReader, makeWriter } from './message-functions.js'

/** Raw bytes of fields this version does not know, kept on the decoded value. */
export const UNKNOWN_FIELDS: unique symbol = Symbol('unknown fields')

/** How one value is written and read. */
export interface FieldCodec<T> {
  readonly wire: WireType
  write(writer: Writer, value: T): void
  read(reader: Reader): T
}

type Presence = 'required' | 'optional' | 'list'

/** One field: its number, its codec, and whether it is required, optional or repeated. */
export interface Field<T> {
  readonly number: number
  readonly presence: Presence
  readonly codec: FieldCodec<unknown>
  /** Never set: carries the type. */
  readonly type?: T
}

/** Non-negative safe integers. */
export const integer: FieldCodec<number> = {
  wire: WIRE_VARINT,
  write(writer, value) {
    if (!Number.isSafeInteger(value) || value < 0) {
      throw new CairnError('InvalidArgument', `not a non-negative safe integer: ${value}`)
    }
    writer.varint(value)
  },
  read: (reader) => reader.varint(),
}

export const boolean: FieldCodec<boolean> = {
  wire: WIRE_VARINT,
  write: (writer, value) => writer.varint(value ? 1 : 0),
  read: (reader) => reader.varint() !== 0,
}

/** Unsigned 64-bit words. */
export const word: FieldCodec<bigint> = {
  wire: WIRE_WORD,
  write: (writer, value) => writer.word(value),
  read: (reader) => reader.word(),
}

/** IEEE 754 doubles. */
export const double: FieldCodec<number> = {
  wire: WIRE_WORD,
  write: (writer, value) => writer.double(value),
  read: (reader) => reader.double(),
}

/** UTF-8 text; must be well-formed UTF-16 to round-trip. */
export const text: FieldCodec<string> = {
  wire: WIRE_BYTES,
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.text(),
}

/** Byte strings and ids. What is read is a view of the message: copy it to keep it longer than the message. */
export function bytes<T extends Uint8Array = Uint8Array>(): FieldCodec<T> {
  return {
    wire: WIRE_BYTES,
    write: (writer, value) => writer.bytes(value),
    read: (reader) => reader.bytes() as Uint8Array as T,
  }
}

/** One of a fixed, ordered list of words, written as its place in the list. */
export function oneOf<T extends string>(...words: readonly T[]): FieldCodec<T> {
  return {
    wire: WIRE_VARINT,
    write(writer, value) {
      const index = words.indexOf(value)
      if (index < 0) throw new CairnError('InvalidArgument', `not one of ${words.join(', ')}: ${value}`)
      writer.varint(index)
    },
    read(reader) {
      const index = reader.varint()
      const value = words[index]
      if (value === undefined)
        throw new CairnError('MessageCorrupt', `value ${index} is newer than this version`)
      return value
    },
  }
}

/** A list of texts as one optional field: unlike `list`, it may be absent. */
export const texts: FieldCodec<readonly string[]> = {
  wire: WIRE_BYTES,
  write(writer, value) {
    const mark = writer.beginDelimited()
    for (const content of value) writer.text(content)
    writer.endDelimited(mark)
  },
  read(reader) {
    const outer = reader.enter()
    const value: string[] = []
    while (!reader.done) value.push(reader.text())
    reader.leave(outer)
    return value
  },
}

/** A map of text to text, in insertion order. */
export const textMap: FieldCodec<Record<string, string>> = {
  wire: WIRE_BYTES,
  write(writer, value) {
    const mark = writer.beginDelimited()
    for (const [name, content] of Object.entries(value)) {
      writer.text(name)
      writer.text(content)
    }
    writer.endDelimited(mark)
  },
  read(reader) {
    const outer = reader.enter()
    const value: Record<string, string> = Object.create(null)
    while (!reader.done) {
      const name = reader.text()
      value[name] = reader.text()
    }
    reader.leave(outer)
    return value
  },
}

/** A field that every message has; `MessageCorrupt` without it. */
export function required<T>(number: number, codec: FieldCodec<T>): Field<T> {
  return { number, presence: 'required', codec: codec as FieldCodec<unknown> }
}

/** A field that may be absent. */
export function optional<T>(number: number, codec: FieldCodec<T>): Field<T | undefined> {
  return { number, presence: 'optional', codec: codec as FieldCodec<unknown> }
}

/** A field that may come any number of times: none is an empty array. */
export function list<T>(number: number, codec: FieldCodec<T>): Field<readonly T[]> {
  return { number, presence: 'list', codec: codec as FieldCodec<unknown> }
}

/** One field for each property of `T`: optional properties take `optional`, arrays take `list`. */
export type Fields<T> = {
  readonly [Key in keyof Required<T>]: undefined extends T[Key]
    ? Field<T[Key]>
    : Field<Exclude<T[Key], undefined>>
}

/** A message type: `T` to bytes and back. Also usable as a field of another message. */
export interface Message<T> extends FieldCodec<T> {
  readonly name: string
  encode(value: T): Uint8Array
  /** Rejects with `MessageCorrupt`, or `FormatTooNew` if the format byte is above ours. Bytes are views. */
  decode(encoded: Uint8Array): T
}

/** Defines a message by its name, format number (1 to 255) and field table. */
export function message<T extends object>(name: string, format: number, fields: Fields<T>): Message<T> {
  const entries = entriesOf(name, fields as Record<string, Field<unknown>>)
  const writeFields = makeWriter(name, entries, UNKNOWN_FIELDS)
  const readFields = makeReader(name, entries)
  const writer = new Writer()
  let writing = false

  function writeContent(target: Writer, value: T): void {
    target.byte(format)
    writeFields(target, value)
  }

  function encode(value: T): Uint8Array {
    const target = writing ? new Writer() : writer
    writing = true
    try {
      writeContent(target, value)
      return target.finish()
    } finally {
      if (target === writer) {
        writer.reset()
        writing = false
      }
    }
  }

  function readMessage(reader: Reader): T {
    const found = reader.byte()
    if (found > format) {
      throw new CairnError('FormatTooNew', `${name} has format ${found}; this version knows ${format}`)
    }
    return readFields(reader, keepUnknown) as T
  }

  return {
    name,
    wire: WIRE_BYTES,
    encode,
    decode: (encoded) => readMessage(new Reader(encoded)),
    write(target, value) {
      const mark = target.beginDelimited()
      writeContent(target, value)
      target.endDelimited(mark)
    },
    read(reader) {
      const outer = reader.enter()
      const value = readMessage(reader)
      reader.leave(outer)
      return value
    },
  }
}

/** The rows of a field table. Throws if two share a number. */
function entriesOf(name: string, fields: Record<string, Field<unknown>>): FieldEntry[] {
  const entries = Object.entries(fields).map(([key, { number, presence, codec }]) => ({
    key,
    presence,
    codec,
    tag: number * 8 + codec.wire,
  }))
  if (new Set(entries.map(({ tag }) => tag)).size < entries.length) {
    throw new Error(`message ${name} uses a field number twice`)
  }
  return entries
}

function keepUnknown(value: object, fields: readonly Buffer[]): void {
  Object.assign(value, { [UNKNOWN_FIELDS]: Buffer.concat(fields) })
}
