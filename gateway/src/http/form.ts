/**
 * A form as @fastify/multipart parses it, with our bounds: the fields before the file as a whole, the file as a
 * stream. What follows the file is ignored, but it is read to the end of the form before the stream of the file
 * ends: a form that is cut off, or holds a second file, is refused before anything is committed.
 */
import { S3Error } from '../errors.js'
import { FORM_FIELDS_BYTES_MAX, FORM_FIELDS_MAX, FORM_NAME_BYTES_MAX } from '../limits.js'

/** What the parser hands out: names and values as it decoded them. */
export type FormPart =
  | {
      readonly type: 'field'
      readonly fieldname: string
      readonly value: unknown
      readonly valueTruncated: boolean
    }
  | {
      readonly type: 'file'
      readonly fieldname: string | undefined
      readonly filename: string | undefined
      readonly file: AsyncIterable<Uint8Array>
    }

export interface OpenedForm {
  /** By lower-case name. */
  readonly fields: ReadonlyMap<string, string>
  /** Without its path; empty if the client names none. */
  readonly fileName: string
  /** Ends only after the last boundary of the form. May be iterated once. */
  readonly file: AsyncIterable<Uint8Array>
}

const FILE_FIELD = 'file'

/** Reads up to the file. Throws `S3Error` for what is no form, is too much, or can be read in two ways. */
export async function openForm(parts: AsyncIterator<FormPart>): Promise<OpenedForm> {
  const fields = new Map<string, string>()
  let sizeBytes = 0
  for (;;) {
    const part = await nextPart(parts)
    if (part === undefined) throw wrongFileCount(0)
    if (part.type === 'file') {
      if (part.fieldname?.toLowerCase() !== FILE_FIELD) throw wrongFileCount(0)
      const fileName = (part.filename ?? '').replace(/^.*[/\\]/s, '')
      return { fields, fileName, file: readFile(part.file, parts) }
    }
    sizeBytes += addField(fields, part)
    if (sizeBytes > FORM_FIELDS_BYTES_MAX) throw formTooLarge()
  }
}

/** Adds one field; the bytes it takes. */
function addField(fields: Map<string, string>, part: FormPart & { type: 'field' }): number {
  const { value } = part
  if (typeof part.fieldname !== 'string' || typeof value !== 'string')
    throw new S3Error('MalformedPOSTRequest')
  const nameBytes = Buffer.byteLength(part.fieldname)
  if (part.valueTruncated || fields.size === FORM_FIELDS_MAX) throw formTooLarge()
  if (nameBytes > FORM_NAME_BYTES_MAX) throw formTooLarge()
  const name = part.fieldname.toLowerCase()
  if (fields.has(name)) {
    throw new S3Error('InvalidArgument', `The form field ${name} was sent more than once.`, {
      elements: { ArgumentName: name },
    })
  }
  // The parser puts this where bytes are no UTF-8: a key that nobody has sent must not be stored.
  if (name.includes('\ufffd') || value.includes('\ufffd')) {
    throw new S3Error('InvalidArgument', `The form field ${name} is not UTF-8.`)
  }
  fields.set(name, value)
  return nameBytes + Buffer.byteLength(value)
}

async function* readFile(
  file: AsyncIterable<Uint8Array>,
  parts: AsyncIterator<FormPart>,
): AsyncIterable<Uint8Array> {
  try {
    yield* file
  } catch (cause) {
    throw broken(cause)
  }
  for (;;) {
    const part = await nextPart(parts)
    if (part === undefined) return
    if (part.type === 'file') throw wrongFileCount(2)
  }
}

async function nextPart(parts: AsyncIterator<FormPart>): Promise<FormPart | undefined> {
  try {
    const next = await parts.next()
    return next.done === true ? undefined : next.value
  } catch (cause) {
    throw broken(cause)
  }
}

/** Errors of the parser's own limits have codes of their own; the rest is no form. */
function broken(cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'FST_FIELDS_LIMIT' || code === 'FST_PARTS_LIMIT') return formTooLarge(cause)
  return new S3Error('MalformedPOSTRequest', undefined, { cause })
}

/** The refusal of a form with too much before its file. */
export function formTooLarge(cause?: unknown): S3Error {
  return new S3Error('MaxPostPreDataLengthExceededError', undefined, cause === undefined ? {} : { cause })
}

function wrongFileCount(count: number): S3Error {
  return new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.', {
    elements: { ArgumentName: FILE_FIELD, ArgumentValue: String(count) },
  })
}
