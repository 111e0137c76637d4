/** Byte ranges: RFC 9110, section 14, as far as S3 honours it. */
import { S3Error } from '../../errors.js'

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

const RANGE = /^bytes=(\d*)-(\d*)$/

/**
 * The range of a GET, clamped to the object. `undefined` for no range, several ranges and what is not a range:
 * the whole object is then the answer. A range that starts beyond the end throws `InvalidRange`.
 */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  if (header === undefined) return undefined
  const match = RANGE.exec(header.trim())
  const [, first = '', last = ''] = match ?? []
  if (match === null || (first === '' && last === '')) return undefined
  if (first === '') return suffix(Number(last), sizeBytes)
  const offset = Number(first)
  const end = last === '' ? sizeBytes - 1 : Number(last)
  if (last !== '' && end < offset) return undefined
  if (offset >= sizeBytes) throw notSatisfiable(sizeBytes)
  return { offset, length: Math.min(end, sizeBytes - 1) - offset + 1 }
}

function suffix(length: number, sizeBytes: number): ByteRange {
  if (length === 0 || sizeBytes === 0) throw notSatisfiable(sizeBytes)
  const taken = Math.min(length, sizeBytes)
  return { offset: sizeBytes - taken, length: taken }
}

function notSatisfiable(sizeBytes: number): S3Error {
  return new S3Error('InvalidRange', undefined, {
    headers: { 'Content-Range': `bytes */${sizeBytes}` },
    elements: { ActualObjectSize: String(sizeBytes) },
  })
}

/** `bytes=a-b` of a part copy: both ends must be there (`InvalidArgument`) and lie in the source (`InvalidRange`). */
export function parseCopyRange(header: string | undefined, sizeBytes: number): ByteRange | undefined {
  if (header === undefined) return undefined
  const match = /^bytes=(\d+)-(\d+)$/.exec(header.trim())
  const [first, last] = [Number(match?.[1]), Number(match?.[2])]
  if (match === null || last < first) {
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
      { elements: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: header } },
    )
  }
  if (last >= sizeBytes)
    throw new S3Error('InvalidRange', 'The copy source range lies outside of the source.', { status: 400 })
  return { offset: first, length: last - first + 1 }
}

/** `Content-Range` of a 206. */
export function contentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.offset}-${range.offset + range.length - 1}/${sizeBytes}`
}
