/**
 * The policy of a form: a signed document that says which fields, and how many bytes, a browser may send. Every
 * field needs a condition, and every condition its field; the bucket is the one really written to, whatever a
 * field of that name says.
 */
import { S3Error } from '../../errors.js'
import { PUT_BYTES_MAX } from '../../limits.js'

export interface PolicyFacts {
  /** By lower-case name, variables already put in. */
  readonly fields: ReadonlyMap<string, string>
  /** The bucket of the request. */
  readonly bucket: string
  readonly nowMs: number
}

/** Sizes the policy lets the file have, both included. */
export interface SizeRange {
  readonly minBytes: number
  readonly maxBytes: number
}

type Condition =
  | {
      readonly kind: 'eq' | 'starts-with'
      readonly name: string
      readonly value: string
      readonly text: string
    }
  | ({ readonly kind: 'range' } & SizeRange)

interface Policy {
  readonly expiresMs: number
  readonly conditions: readonly Condition[]
}

/** They are covered by the signature, or are what it covers. */
const UNCONDITIONED: ReadonlySet<string> = new Set([
  'policy',
  'x-amz-signature',
  'awsaccesskeyid',
  'signature',
  'file',
])
const IGNORED_PREFIX = 'x-ignore-'
const EXPIRATION = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/

/** Throws `InvalidPolicyDocument` for what is no policy, and `AccessDenied` for what it does not allow. */
export function checkPolicy(encoded: string, facts: PolicyFacts): SizeRange {
  const policy = readPolicy(encoded)
  if (facts.nowMs >= policy.expiresMs) throw denied('Policy expired.')
  const claimed = facts.fields.get('bucket')
  if (claimed !== undefined && claimed !== facts.bucket) throw denied(`The bucket is not "${claimed}".`)
  const fields = new Map(facts.fields).set('bucket', facts.bucket)
  const covered = checkConditions(policy.conditions, fields)
  for (const name of fields.keys()) {
    if (covered.has(name) || UNCONDITIONED.has(name) || name.startsWith(IGNORED_PREFIX)) continue
    throw denied(`Extra input fields: ${name}`)
  }
  return sizeRange(policy.conditions)
}

/** The names of the fields that conditions are about; all conditions hold. */
function checkConditions(
  conditions: readonly Condition[],
  fields: ReadonlyMap<string, string>,
): ReadonlySet<string> {
  const covered = new Set<string>()
  for (const condition of conditions) {
    if (condition.kind === 'range') continue
    if (!holds(condition, fields.get(condition.name))) {
      throw denied(`Policy Condition failed: ${condition.text}`)
    }
    covered.add(condition.name)
  }
  return covered
}

/** What all ranges leave, within what any upload may have. */
function sizeRange(conditions: readonly Condition[]): SizeRange {
  let [minBytes, maxBytes] = [0, PUT_BYTES_MAX]
  for (const condition of conditions) {
    if (condition.kind !== 'range') continue
    minBytes = Math.max(minBytes, condition.minBytes)
    maxBytes = Math.min(maxBytes, condition.maxBytes)
  }
  return { minBytes, maxBytes }
}

function holds(
  condition: { readonly kind: 'eq' | 'starts-with'; readonly name: string; readonly value: string },
  sent: string | undefined,
): boolean {
  if (sent === undefined) return false
  if (condition.kind === 'eq') return sent === condition.value
  // A list of content types meets a prefix only with each of its members.
  const values = condition.name === 'content-type' ? sent.split(',').map((part) => part.trim()) : [sent]
  return values.every((value) => value.startsWith(condition.value))
}

function readPolicy(encoded: string): Policy {
  const document = parseDocument(encoded)
  if (!isRecord(document)) throw invalid('The policy must be a JSON object.')
  for (const name of Object.keys(document)) {
    if (name !== 'expiration' && name !== 'conditions') throw invalid(`Unexpected: '${name}'`)
  }
  const { expiration, conditions } = document
  if (expiration === undefined) throw invalid('Policy missing expiration.')
  if (conditions === undefined) throw invalid('Policy missing conditions.')
  if (!Array.isArray(conditions)) throw invalid('Conditions must be a list.')
  return { expiresMs: readExpiration(expiration), conditions: conditions.map(readCondition) }
}

function parseDocument(encoded: string): unknown {
  const compact = encoded.replace(/\s/g, '')
  const bytes = Buffer.from(compact, 'base64')
  if (bytes.length === 0 || bytes.toString('base64').replace(/=+$/, '') !== compact.replace(/=+$/, '')) {
    throw invalid('Invalid Base64 Encoding.')
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return JSON.parse(withoutForeignEscapes(text))
  } catch (cause) {
    throw new S3Error('InvalidPolicyDocument', 'Invalid Policy: Invalid JSON.', { cause })
  }
}

/** S3's policies know two escapes that JSON does not: `\$` and `\v`. */
function withoutForeignEscapes(text: string): string {
  return text.replace(/\\(.)/gs, (pair, character: string) => {
    if (character === '$') return '$'
    return character === 'v' ? '\\u000b' : pair
  })
}

function readExpiration(expiration: unknown): number {
  const expiresMs =
    typeof expiration === 'string' && EXPIRATION.test(expiration) ? Date.parse(expiration) : Number.NaN
  if (Number.isNaN(expiresMs)) throw invalid(`Invalid 'expiration' value: '${String(expiration)}'`)
  return expiresMs
}

function readCondition(condition: unknown): Condition {
  if (Array.isArray(condition)) return readListCondition(condition)
  if (!isRecord(condition)) throw invalid('Invalid condition: it must be a list or an object.')
  const [entry, ...more] = Object.entries(condition)
  if (entry === undefined || more.length > 0) {
    throw invalid('Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.')
  }
  const [name, value] = entry
  if (typeof value !== 'string') throw invalid('Invalid Simple-Condition: value must be a string.')
  const lower = name.toLowerCase()
  return { kind: 'eq', name: lower, value, text: JSON.stringify(['eq', `$${lower}`, value]) }
}

function readListCondition(condition: readonly unknown[]): Condition {
  const [operator, first, second, ...more] = condition
  const kind = typeof operator === 'string' ? operator.toLowerCase() : ''
  if (condition.length < 3 || more.length > 0) {
    throw invalid(`Invalid condition: ${kind || 'it'} needs exactly two arguments.`)
  }
  if (kind === 'content-length-range') return readRange(first, second)
  if (kind !== 'eq' && kind !== 'starts-with') throw invalid(`Unknown condition operation: ${kind}`)
  if (typeof first !== 'string' || typeof second !== 'string' || !first.startsWith('$')) {
    throw invalid(`Invalid condition: ${kind} needs "$name" and a string.`)
  }
  return { kind, name: first.slice(1).toLowerCase(), value: second, text: JSON.stringify(condition) }
}

function readRange(min: unknown, max: unknown): Condition {
  return { kind: 'range', minBytes: readSize(min), maxBytes: readSize(max) }
}

/** Numbers beyond what counts exactly are beyond every object, too: the size limit of a PUT holds beside them. */
function readSize(size: unknown): number {
  const value = typeof size === 'string' && /^\d{1,15}$/.test(size) ? Number(size) : size
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw invalid('Invalid content-length-range: both bounds must be whole numbers.')
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(message: string): S3Error {
  return new S3Error('InvalidPolicyDocument', `Invalid Policy: ${message}`)
}

function denied(message: string): S3Error {
  return new S3Error('AccessDenied', `Invalid according to Policy: ${message}`)
}
