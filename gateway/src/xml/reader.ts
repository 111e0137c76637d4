/**
 * XML documents of requests, as small trees. Strict: no DOCTYPE, no processing instructions, no entities but the
 * five and numeric ones, bounded in size, depth and number. Namespaces and prefixes are optional and ignored, as
 * S3 ignores them.
 */
import { SaxesParser } from 'saxes'
import { S3Error } from '../errors.js'
import { DOCUMENT_BOUNDS, type DocumentBounds, XML_DEPTH_MAX } from '../limits.js'

export interface XmlElement {
  /** Without a namespace prefix. */
  readonly name: string
  /** The text directly inside, unescaped, as it is: keys may begin or end with blanks. */
  readonly text: string
  readonly children: readonly XmlElement[]
}

interface OpenElement {
  readonly name: string
  text: string
  readonly children: OpenElement[]
}

const PROTECTED = /[\u007f-\u009f\u2028]/
const PROTECTED_ALL = /[\u007f-\u009f\u2028]/g

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Throws `MalformedXML` unless the document is well formed, within bounds, and its root has that name. */
export function parseXml(
  bytes: Uint8Array,
  rootName: string,
  bounds: DocumentBounds = DOCUMENT_BOUNDS,
): XmlElement {
  if (bytes.length > bounds.sizeBytesMax) throw new S3Error('MaxMessageLengthExceeded')
  const root = parseTree(decodeText(bytes), bounds.elementsMax)
  if (root?.name !== rootName) throw malformed()
  return root
}

/** The first child of that name. */
export function findChild(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name)
}

/** All children of that name, in order. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name)
}

/** Text of the first child of that name. */
export function findText(element: XmlElement, name: string): string | undefined {
  return findChild(element, name)?.text
}

/** Text of the first child of that name; `MalformedXML` without one. */
export function getText(element: XmlElement, name: string): string {
  const text = findText(element, name)
  if (text === undefined) throw malformed()
  return text
}

function decodeText(bytes: Uint8Array): string {
  try {
    return protectCharacters(utf8.decode(bytes))
  } catch (cause) {
    throw malformed(cause)
  }
}

/**
 * The parser reads XML 1.1, for only there may a key's control characters stand as numeric entities. But 1.1
 * refuses these as they are, or turns them into line feeds, and keys may contain them. In a CDATA section an
 * entity would be taken literally; no client writes both.
 */
function protectCharacters(text: string): string {
  if (!PROTECTED.test(text)) return text
  if (text.includes('<![CDATA[')) throw malformed()
  return text.replace(PROTECTED_ALL, (character) => `&#x${character.charCodeAt(0).toString(16)};`)
}

function parseTree(text: string, elementsMax: number): XmlElement | undefined {
  const open: OpenElement[] = []
  let root: OpenElement | undefined
  let count = 0
  const parser = new SaxesParser({ defaultXMLVersion: '1.1', forceXMLVersion: true })
  const addText = (more: string): void => {
    const current = open.at(-1)
    if (current !== undefined) current.text += more
  }
  parser.on('error', refuse)
  parser.on('doctype', refuse)
  parser.on('processinginstruction', refuse)
  parser.on('text', addText)
  parser.on('cdata', addText)
  parser.on('opentag', (tag) => {
    count += 1
    if (open.length === XML_DEPTH_MAX || count > elementsMax) throw malformed()
    const opened: OpenElement = { name: tag.name.slice(tag.name.indexOf(':') + 1), text: '', children: [] }
    open.at(-1)?.children.push(opened)
    root ??= opened
    open.push(opened)
  })
  parser.on('closetag', () => {
    open.pop()
  })
  parser.write(text).close()
  return root
}

function refuse(cause: unknown): never {
  throw malformed(cause)
}

function malformed(cause?: unknown): S3Error {
  return new S3Error('MalformedXML', undefined, cause === undefined ? {} : { cause })
}
