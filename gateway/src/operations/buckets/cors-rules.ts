/**
 * The rules of a bucket about pages of other origins: read from XML, kept as JSON, matched against requests. A
 * pattern holds one `*` at most, so that matching is a prefix and a suffix and never an expression.
 */
import { S3Error } from '../../errors.js'
import { childrenOf, findText, parseXml, type XmlElement } from '../../xml/reader.js'
import { document, element, parent } from '../../xml/writer.js'

/** One rule, as S3 names its parts. */
export interface CorsRule {
  readonly id?: string
  readonly allowedOrigins: readonly string[]
  readonly allowedMethods: readonly string[]
  readonly allowedHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly maxAgeSeconds?: number
}

/** Rules of one bucket, as in S3. */
const RULES_MAX = 100
const ID_LENGTH_MAX = 255
const MAX_AGE_SECONDS_MAX = 2 ** 31 - 1
/** Origins, methods or headers of one rule: nobody writes so many by hand, and each preflight walks over them. */
const VALUES_MAX = 1000
/** Version of the stored document. */
const FORMAT = 1

const METHODS: ReadonlySet<string> = new Set(['GET', 'PUT', 'POST', 'DELETE', 'HEAD'])
/** A header name of HTTP: anything else could break the head of an answer. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const VISIBLE = /^[\x21-\x7e]+$/

/** Throws `MalformedXML`, `InvalidRequest` or `InvalidArgument` for rules that S3 would not take. */
export function readCorsRules(xml: Uint8Array): readonly CorsRule[] {
  const configuration = parseXml(xml, 'CORSConfiguration')
  const rules = childrenOf(configuration, 'CORSRule')
  if (rules.length === 0 || rules.length !== configuration.children.length) throw new S3Error('MalformedXML')
  if (rules.length > RULES_MAX) {
    throw invalid(`The number of CORS rules should not exceed allowed limit of ${RULES_MAX} rules.`)
  }
  const read = rules.map(readRule)
  const ids = read.flatMap(({ id }) => (id === undefined ? [] : [id]))
  if (new Set(ids).size !== ids.length) throw new S3Error('InvalidArgument', 'Rule ID must be unique.')
  return read
}

function readRule(rule: XmlElement): CorsRule {
  const known = ['ID', 'AllowedOrigin', 'AllowedMethod', 'AllowedHeader', 'ExposeHeader', 'MaxAgeSeconds']
  if (rule.children.some(({ name }) => !known.includes(name))) throw new S3Error('MalformedXML')
  const id = readId(rule)
  const maxAgeSeconds = readMaxAge(rule)
  return {
    ...(id === undefined ? {} : { id }),
    allowedOrigins: readValues(rule, 'AllowedOrigin', checkOrigin),
    allowedMethods: readValues(rule, 'AllowedMethod', checkMethod),
    allowedHeaders: readValues(rule, 'AllowedHeader', checkAllowedHeader),
    exposeHeaders: readValues(rule, 'ExposeHeader', checkExposeHeader),
    ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }),
  }
}

function readValues(rule: XmlElement, name: string, check: (value: string) => void): readonly string[] {
  const values = childrenOf(rule, name).map(({ text }) => text.trim())
  const needed = name === 'AllowedOrigin' || name === 'AllowedMethod'
  if ((needed && values.length === 0) || values.length > VALUES_MAX || values.includes('')) {
    throw new S3Error('MalformedXML')
  }
  values.forEach(check)
  return values
}

function readId(rule: XmlElement): string | undefined {
  if (childrenOf(rule, 'ID').length > 1) throw new S3Error('MalformedXML')
  const id = findText(rule, 'ID')
  if (id !== undefined && id.length > ID_LENGTH_MAX) {
    throw new S3Error('InvalidArgument', `ID length should not exceed allowed limit of ${ID_LENGTH_MAX}`)
  }
  return id === '' ? undefined : id
}

function readMaxAge(rule: XmlElement): number | undefined {
  if (childrenOf(rule, 'MaxAgeSeconds').length > 1) throw new S3Error('MalformedXML')
  const text = findText(rule, 'MaxAgeSeconds')?.trim()
  if (text === undefined) return undefined
  if (!/^\d{1,10}$/.test(text) || Number(text) > MAX_AGE_SECONDS_MAX) throw new S3Error('MalformedXML')
  return Number(text)
}

function checkOrigin(origin: string): void {
  if (wildcards(origin) > 1) throw tooManyWildcards('AllowedOrigin', origin)
  if (!VISIBLE.test(origin)) throw invalid(`AllowedOrigin "${origin}" is not an origin.`)
}

function checkMethod(method: string): void {
  if (METHODS.has(method)) return
  throw invalid(`Found unsupported HTTP method in CORS config. Unsupported method is ${method}`)
}

function checkAllowedHeader(header: string): void {
  if (wildcards(header) > 1) throw tooManyWildcards('AllowedHeader', header)
  if (!TOKEN.test(header)) throw invalid(`AllowedHeader "${header}" is not a header name.`)
}

function checkExposeHeader(header: string): void {
  if (header.includes('*')) {
    throw invalid(
      `ExposeHeader "${header}" contains wildcard. We currently do not support wildcard for ExposeHeader.`,
    )
  }
  if (!TOKEN.test(header)) throw invalid(`ExposeHeader "${header}" is not a header name.`)
}

function wildcards(pattern: string): number {
  return pattern.split('*').length - 1
}

function tooManyWildcards(name: string, value: string): S3Error {
  return invalid(`${name} "${value}" can not have more than one wildcard.`)
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidRequest', message)
}

/** The rules as `GET ?cors` shows them. */
export function writeCorsRules(rules: readonly CorsRule[]): string {
  return document('CORSConfiguration', rules.map((rule) => parent('CORSRule', ruleXml(rule))).join(''))
}

function ruleXml(rule: CorsRule): string {
  const all = (name: string, values: readonly string[]): string =>
    values.map((value) => element(name, value)).join('')
  return (
    element('ID', rule.id) +
    all('AllowedMethod', rule.allowedMethods) +
    all('AllowedOrigin', rule.allowedOrigins) +
    all('AllowedHeader', rule.allowedHeaders) +
    element('MaxAgeSeconds', rule.maxAgeSeconds) +
    all('ExposeHeader', rule.exposeHeaders)
  )
}

/** As they are stored with the bucket. */
export function encodeCorsRules(rules: readonly CorsRule[]): Uint8Array {
  return Buffer.from(JSON.stringify({ format: FORMAT, rules }))
}

/** Throws for a document that a newer version has written: guessing could open a bucket. */
export function decodeCorsRules(stored: Uint8Array): readonly CorsRule[] {
  const { format, rules } = JSON.parse(Buffer.from(stored).toString()) as {
    format: number
    rules: readonly CorsRule[]
  }
  if (format === FORMAT) return rules
  throw new S3Error('InternalError', `CORS rules of format ${format} are unknown to this version.`)
}

/** What a page asks for. */
export interface CorsQuestion {
  readonly origin: string
  readonly method: string
  /** Header names of a preflight, in lower case. */
  readonly headers: readonly string[]
}

export interface CorsMatch {
  readonly rule: CorsRule
  /** The rule lets everybody in: the origin is not told back then, and no credentials go with it. */
  readonly anyOrigin: boolean
}

/** The first rule that allows all of it. */
export function findCorsMatch(rules: readonly CorsRule[], question: CorsQuestion): CorsMatch | undefined {
  for (const rule of rules) {
    if (!rule.allowedMethods.includes(question.method)) continue
    const origin = rule.allowedOrigins.find((pattern) => matches(pattern, question.origin))
    if (origin === undefined) continue
    const allowed = question.headers.every((header) =>
      rule.allowedHeaders.some((pattern) => matches(pattern.toLowerCase(), header)),
    )
    if (allowed) return { rule, anyOrigin: origin === '*' }
  }
  return undefined
}

function matches(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return pattern === text
  if (text.length < pattern.length - 1) return false
  return text.startsWith(pattern.slice(0, star)) && text.endsWith(pattern.slice(star + 1))
}
