/**
 * Makes one writer and one reader for each message type. A loop over the field table would be one function for all
 * types: each of its property accesses sees every shape there is, and what it reads gets its properties one by one,
 * in the order of the wire, so that all code behind it meets many shapes of one type too. Code made for one type
 * sees one shape, and gives one.
 *
 * The source is put together from this file and from the field tables of our own code, never from data: names are
 * checked, and codecs are handed in as arguments.
 */
import { CairnError } from './errors.js'
import type { FieldCodec } from './message.js'
import type { Reader, Writer } from './message-bytes.js'

/** One row of a field table. */
export interface FieldEntry {
  readonly key: string
  /** Field number × 8 + wire type. */
  readonly tag: number
  readonly presence: 'required' | 'optional' | 'list'
  readonly codec: FieldCodec<unknown>
}

/**
 * Writes a value's known fields in the order of the table, and behind them those that were kept as bytes.
 * `InvalidArgument` if a required one is missing.
 */
export type WriteFields = (writer: Writer, value: object) => void

/**
 * Reads fields to the end of the content. Lists are always there, optional fields only if they came. `unknown` gets
 * each field that the table does not have; `MessageCorrupt` if a required one is missing.
 */
export type ReadFields = (
  reader: Reader,
  unknown: (value: object, fields: readonly Buffer[]) => void,
) => object

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** The writer of a table. `kept` names the bytes of the fields that the table does not have. */
export function makeWriter(message: string, entries: readonly FieldEntry[], kept: symbol): WriteFields {
  const lines = entries.map((entry, at) => writeLine(entry, at))
  const source = `return (kept) => (writer, value) => { let field
    ${lines.join('\n')}
    field = value[kept]; if (field instanceof Uint8Array) writer.raw(field)
  }`
  return (build(message, entries, source) as (kept: symbol) => WriteFields)(kept)
}

function writeLine({ key, tag, presence }: FieldEntry, at: number): string {
  const write = `writer.varint(${tag}); c${at}.write(writer, field)`
  if (presence === 'required')
    return `field = value.${key}; if (field === undefined) unset('${key}'); ${write}`
  if (presence === 'optional') return `field = value.${key}; if (field !== undefined) { ${write} }`
  return `if (value.${key} !== undefined) for (field of value.${key}) { ${write} }`
}

/** The reader of a table. */
export function makeReader(message: string, entries: readonly FieldEntry[]): ReadFields {
  const all = entries.map((entry, at) => ({ ...entry, at }))
  const declare = all.map(({ presence, at }) => `let f${at}${presence === 'list' ? ' = []' : ''}`)
  const cases = all.map(({ tag, presence, at }) => {
    const take = presence === 'list' ? `f${at}.push(c${at}.read(reader))` : `f${at} = c${at}.read(reader)`
    return `case ${tag}: ${take}; break`
  })
  const needed = all.filter(({ presence }) => presence === 'required')
  const always = all.filter(({ presence }) => presence !== 'optional')
  const optional = all.filter(({ presence }) => presence === 'optional')
  const source = `return (reader, keepUnknown) => {
    ${declare.join('; ')}; let unknown
    while (!reader.done) {
      const start = reader.offset, tag = reader.varint()
      switch (tag) {
        ${cases.join('\n')}
        default: reader.skip(tag & 7); (unknown ??= []).push(reader.slice(start, reader.offset))
      }
    }
    ${needed.map(({ key, at }) => `if (f${at} === undefined) missing('${key}')`).join('\n')}
    const value = { ${always.map(({ key, at }) => `${key}: f${at}`).join(', ')} }
    ${optional.map(({ key, at }) => `if (f${at} !== undefined) value.${key} = f${at}`).join('\n')}
    if (unknown !== undefined) keepUnknown(value, unknown)
    return value
  }`
  return build(message, entries, source) as ReadFields
}

/** Runs `source` with the codecs of the table as `c0`, `c1`, … and the two refusals. */
function build(message: string, entries: readonly FieldEntry[], source: string): unknown {
  for (const { key } of entries)
    if (!NAME.test(key)) throw new Error(`message ${message} has a field "${key}"`)
  const unset = (key: string): never => {
    throw new CairnError('InvalidArgument', `${message}.${key} is missing`)
  }
  const missing = (key: string): never => {
    throw new CairnError('MessageCorrupt', `${message}.${key} is missing`)
  }
  const names = entries.map((_, at) => `c${at}`)
  const codecs = entries.map(({ codec }) => codec)
  return new Function(...names, 'unset', 'missing', `'use strict'; ${source}`)(...codecs, unset, missing)
}
