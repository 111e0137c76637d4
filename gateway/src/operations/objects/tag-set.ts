/** Sets of tags, as headers and documents carry them, within S3's limits. */
import type { Tag } from '@cairn/protocol'
import { S3Error } from '../../errors.js'
import { childrenOf, findChild, getText, parseXml, type XmlElement } from '../../xml/reader.js'
import { document, element, parent } from '../../xml/writer.js'
import type { RequestHeaders } from '../types.js'

/** Tags of one object, and of one bucket. */
export const OBJECT_TAGS_MAX: number = 10
export const BUCKET_TAGS_MAX: number = 50

/** UTF-16 code units. */
const KEY_LENGTH_MAX = 128
const VALUE_LENGTH_MAX = 256

/** What S3 allows in keys and values: letters, digits and blanks of all scripts, and a few signs. */
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u

/** `x-amz-tagging`: a query string; a value may be missing. `undefined` without the header or without a tag in it. */
export function readTagHeader(headers: RequestHeaders): readonly Tag[] | undefined {
  const text = headers['x-amz-tagging']
  if (text === undefined || text === '') return undefined
  const tags = text
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => readPair(pair, text))
  const keys = tags.map(({ key }) => key)
  // In a header these are mistakes of the encoding, in a document of the tags.
  if (keys.includes('') || new Set(keys).size < keys.length) throw notEncoded(text)
  checkTags(tags, OBJECT_TAGS_MAX)
  return tags.length === 0 ? undefined : tags
}

/** One tag of the header, which an error names as a whole. */
function readPair(pair: string, header: string): Tag {
  const equals = pair.indexOf('=')
  const [key, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
  try {
    return { key: decode(key), value: decode(value) }
  } catch (cause) {
    throw notEncoded(header, cause)
  }
}

function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

function notEncoded(header: string, cause?: unknown): S3Error {
  return new S3Error(
    'InvalidArgument',
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    { cause, elements: { ArgumentName: 'x-amz-tagging', ArgumentValue: header } },
  )
}

/** The tags of a `Tagging` document. `MalformedXML`, `InvalidTag`, and `BadRequest` for more than `countMax`. */
export function parseTagging(bytes: Uint8Array, countMax: number): readonly Tag[] {
  const set = findChild(parseXml(bytes, 'Tagging'), 'TagSet')
  if (set === undefined) throw new S3Error('MalformedXML')
  return readTagSet(set, countMax)
}

/** The `Tag` elements in another one. Throws as `parseTagging` does. */
export function readTagSet(set: XmlElement, countMax: number): readonly Tag[] {
  const tags = childrenOf(set, 'Tag').map((tag) => ({
    key: getText(tag, 'Key'),
    value: getText(tag, 'Value'),
  }))
  checkTags(tags, countMax)
  return tags
}

/** The document that names the tags, in their order. */
export function taggingXml(tags: readonly Tag[]): string {
  const content = tags.map(({ key, value }) => parent('Tag', element('Key', key) + element('Value', value)))
  return document('Tagging', parent('TagSet', content.join('')))
}

function checkTags(tags: readonly Tag[], countMax: number): void {
  if (tags.length > countMax) {
    const subject = countMax === OBJECT_TAGS_MAX ? 'Object tags' : 'Bucket tag count'
    throw new S3Error('BadRequest', `${subject} cannot be greater than ${countMax}`)
  }
  for (const tag of tags) checkTag(tag)
  const keys = new Set<string>()
  for (const { key } of tags) {
    if (keys.has(key)) throw invalid('Cannot provide multiple Tags with the same key', { TagKey: key })
    keys.add(key)
  }
}

function checkTag({ key, value }: Tag): void {
  if (key === '' || key.length > KEY_LENGTH_MAX || !ALLOWED.test(key)) {
    throw invalid('The TagKey you have provided is invalid', { TagKey: key })
  }
  if (value.length > VALUE_LENGTH_MAX || !ALLOWED.test(value)) {
    throw invalid('The TagValue you have provided is invalid', { TagKey: key, TagValue: value })
  }
  if (key.toLowerCase().startsWith('aws:')) {
    throw invalid('System tags cannot be added/updated by requester', { TagKey: key })
  }
}

function invalid(message: string, elements: Record<string, string>): S3Error {
  return new S3Error('InvalidTag', message, { elements })
}
