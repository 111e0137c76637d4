/** XML by string building: listings of a thousand keys are written at memory speed. */

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
/** What every document begins with. */
export const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** Characters that must not stand in XML text as they are; control characters become numeric entities. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
const SPECIAL = /[&<>"'\u0000-\u001f\u007f\ufffe\uffff]/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
const SPECIALS = /[&<>"'\u0000-\u001f\u007f\ufffe\uffff]/g
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
}

/** Text as it may stand between tags. NUL, which no XML can carry, becomes U+FFFD. */
export function escapeXml(text: string): string {
  return SPECIAL.test(text) ? text.replace(SPECIALS, escapeCharacter) : text
}

/** `<name>text</name>`, escaped; nothing at all if the value is undefined. */
export function element(name: string, value: string | number | boolean | undefined): string {
  if (value === undefined) return ''
  return `<${name}>${typeof value === 'string' ? escapeXml(value) : value}</${name}>`
}

/** `<name>content</name>` around content that is XML already. */
export function parent(name: string, content: string): string {
  return `<${name}>${content}</${name}>`
}

/** A whole document in the 2006-03-01 namespace around content that is XML already. */
export function document(name: string, content: string): string {
  return `${DECLARATION}<${name} xmlns="${NAMESPACE}">${content}</${name}>`
}

/** A whole document without a namespace, as S3 writes its errors. */
export function plainDocument(name: string, content: string): string {
  return `${DECLARATION}<${name}>${content}</${name}>`
}

/** ISO 8601 with milliseconds: how times stand in S3's XML. What lies in the second asked for last is not made anew. */
export function formatTime(timeMs: number): string {
  const second = Math.floor(timeMs / 1000)
  if (second !== lastSecond) {
    lastText = new Date(second * 1000).toISOString().slice(0, -4)
    lastSecond = second
  }
  return `${lastText}${String(timeMs - second * 1000).padStart(3, '0')}Z`
}

let lastSecond = Number.NaN
let lastText = ''

function escapeCharacter(character: string): string {
  if (character === '\u0000') return '\ufffd'
  return ENTITIES[character] ?? `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`
}
