/** What a request claims about its own signature, from its `Authorization` header or its presigned query. */
import { S3Error, type S3ErrorCode } from '../errors.js'
import type { Query } from '../http/query.js'
import { PRESIGNED_SECONDS_MAX } from '../limits.js'
import type { RequestHeaders } from '../operations/types.js'
import { Memory } from './memory.js'

/** An unverified SigV4 claim; well formed, nothing more. */
export interface SignatureClaim {
  readonly kind: 'header' | 'presigned'
  readonly accessKey: string
  /** Scope: day as `YYYYMMDD`, region, service. */
  readonly day: string
  readonly region: string
  readonly service: string
  /** All three, as signed: `YYYYMMDD/REGION/SERVICE/aws4_request`. */
  readonly scope: string
  readonly signedHeaders: readonly string[]
  /** The same as they were sent, with `;` between. */
  readonly signedHeaderList: string
  /** 64 lower-case hex digits. */
  readonly signature: string
  /** `YYYYMMDDTHHMMSSZ`, as signed. */
  readonly date: string
  readonly dateMs: number
  /** Presigned only. */
  readonly expiresSeconds?: number
  /** The last line of the canonical request. */
  readonly payloadHash: string
  readonly sessionToken?: string
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/
const SIGNATURE = /^[0-9a-f]{64}$/
const SIGNATURE_LENGTH = 64
const SIGNATURE_FIELD = 'Signature='

/** `undefined` for a request without credentials. Throws `S3Error` for mixed, unknown or malformed ones. */
export function readSignatureClaim(headers: RequestHeaders, query: Query): SignatureClaim | undefined {
  const inHeader = headers.authorization !== undefined
  const inQuery = query.has('X-Amz-Signature') || query.has('X-Amz-Algorithm')
  const version2 = query.has('Signature') || query.has('AWSAccessKeyId')
  if (Number(inHeader) + Number(inQuery) + Number(version2) > 1) {
    throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed.')
  }
  if (version2) throw version2Refused()
  if (inQuery) return readPresigned(headers, query)
  return inHeader ? readHeader(headers, headers.authorization ?? '') : undefined
}

function readHeader(headers: RequestHeaders, authorization: string): SignatureClaim {
  const malformed = 'AuthorizationHeaderMalformed'
  if (authorization === '') throw new S3Error('AccessDenied', 'The Authorization header is empty.')
  if (authorization.startsWith('AWS ')) throw version2Refused()
  if (!authorization.startsWith(ALGORITHM)) {
    throw new S3Error('InvalidArgument', 'Unsupported Authorization Type', {
      // Not its value, as S3 has it: people send secrets there.
      elements: { ArgumentName: 'Authorization' },
    })
  }
  const payloadHash = headers['x-amz-content-sha256']
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  }
  const sessionToken = headers['x-amz-security-token']
  const said = readAuthorization(authorization, malformed)
  const { accessKey, day, region, service, scope, signedHeaders, signedHeaderList, signature } = said
  const { date, dateMs } = readHeaderDate(headers)
  // Named one by one, and below too: copying a claim whole is several times as dear.
  const claim = {
    kind: 'header' as const,
    accessKey,
    day,
    region,
    service,
    scope,
    signedHeaders,
    signedHeaderList,
    signature,
    date,
    dateMs,
    payloadHash,
  }
  return sessionToken === undefined ? claim : { ...claim, sessionToken }
}

function readPresigned(headers: RequestHeaders, query: Query): SignatureClaim {
  const malformed = 'AuthorizationQueryParametersError'
  const parameters = new Map<string, string>()
  for (const { name, value } of query.parameters) {
    if (!name.startsWith('X-Amz-')) continue
    if (parameters.has(name)) throw new S3Error(malformed, `${name} was sent more than once.`)
    parameters.set(name, value)
  }
  const get = (name: string): string => {
    const value = parameters.get(name)
    if (value !== undefined && value !== '') return value
    throw new S3Error(
      malformed,
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    )
  }
  if (get('X-Amz-Algorithm') !== ALGORITHM) {
    throw new S3Error(malformed, `X-Amz-Algorithm only supports "${ALGORITHM}"`)
  }
  const sessionToken = parameters.get('X-Amz-Security-Token')
  return {
    kind: 'presigned',
    ...readCredential(get('X-Amz-Credential'), malformed),
    ...readSigned(get('X-Amz-SignedHeaders'), get('X-Amz-Signature'), malformed),
    ...readDate(get('X-Amz-Date'), malformed),
    expiresSeconds: readExpires(get('X-Amz-Expires')),
    payloadHash:
      headers['x-amz-content-sha256'] ?? parameters.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD',
    ...(sessionToken === undefined ? {} : { sessionToken }),
  }
}

/** `Credential`, `SignedHeaders` and `Signature`, each once, in any order. */
function readFields(text: string): { credential: string; signedHeaders: string; signature: string } {
  const fields = new Map<string, string>()
  for (const field of text.split(',')) {
    const [name, value] = splitField(field.trim())
    if (value === '' || /\s/.test(value) || fields.has(name))
      throw new S3Error('AuthorizationHeaderMalformed')
    fields.set(name, value)
  }
  const credential = fields.get('Credential')
  const signedHeaders = fields.get('SignedHeaders')
  const signature = fields.get('Signature')
  if (fields.size !== 3 || !credential || !signedHeaders || !signature || !text.startsWith(' ')) {
    throw new S3Error('AuthorizationHeaderMalformed')
  }
  return { credential, signedHeaders, signature }
}

function splitField(field: string): [name: string, value: string] {
  const equals = field.indexOf('=')
  return equals < 0 ? [field, ''] : [field.slice(0, equals), field.slice(equals + 1)]
}

type Scope = Pick<SignatureClaim, 'accessKey' | 'day' | 'region' | 'service' | 'scope'>
type Signed = Pick<SignatureClaim, 'signedHeaders' | 'signedHeaderList'>
type SigningDate = Pick<SignatureClaim, 'date' | 'dateMs'>

/** What clients repeat with every request, parsed once: well-formed texts only, forgotten when they are many. */
const scopes = new Memory<Scope>()
const headerLists = new Memory<Signed>()
const authorizations = new Memory<Scope & Signed>()
const dates = new Memory<SigningDate>()

/** The header where it ends in the signature, as everybody writes it: what stands before it seldom changes. */
function readAuthorization(
  authorization: string,
  malformed: S3ErrorCode,
): Scope & Signed & Pick<SignatureClaim, 'signature'> {
  const end = authorization.length - SIGNATURE_LENGTH
  const signature = authorization.slice(end)
  if (!authorization.endsWith(SIGNATURE_FIELD, end) || !SIGNATURE.test(signature)) {
    return parseAuthorization(authorization, malformed)
  }
  const text = authorization.slice(0, end)
  const { accessKey, day, region, service, scope, signedHeaders, signedHeaderList } = authorizations.get(
    text,
    () => parseAuthorization(authorization, malformed),
  )
  return { accessKey, day, region, service, scope, signedHeaders, signedHeaderList, signature }
}

function parseAuthorization(
  authorization: string,
  malformed: S3ErrorCode,
): Scope & Signed & Pick<SignatureClaim, 'signature'> {
  const { credential, signedHeaders, signature } = readFields(authorization.slice(ALGORITHM.length))
  return { ...readCredential(credential, malformed), ...readSigned(signedHeaders, signature, malformed) }
}

/** Access keys may contain slashes; the scope is the last four fields. Throws `malformed`. */
export function readCredential(credential: string, malformed: S3ErrorCode): Scope {
  return scopes.get(credential, () => parseCredential(credential, malformed))
}

function parseCredential(credential: string, malformed: S3ErrorCode): Scope {
  const fields = credential.split('/')
  const [day = '', region = '', service = '', terminator = ''] = fields.slice(-4)
  const accessKey = fields.slice(0, -4).join('/')
  if (accessKey === '' || terminator !== 'aws4_request' || !/^\d{8}$/.test(day)) {
    throw new S3Error(
      malformed,
      'The Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    )
  }
  return { accessKey, day, region, service, scope: `${day}/${region}/${service}/${terminator}` }
}

function readSigned(
  list: string,
  signature: string,
  malformed: S3ErrorCode,
): Signed & Pick<SignatureClaim, 'signature'> {
  const signed = headerLists.get(list, () => parseSignedHeaders(list, malformed))
  if (!SIGNATURE.test(signature)) throw new S3Error('SignatureDoesNotMatch')
  return { ...signed, signature }
}

function parseSignedHeaders(list: string, malformed: S3ErrorCode): Signed {
  const signedHeaders = list.split(';')
  const distinct = new Set(signedHeaders)
  const wellFormed =
    list === list.toLowerCase() && !distinct.has('') && distinct.size === signedHeaders.length
  if (!wellFormed) throw new S3Error(malformed, 'The list of signed headers is malformed.')
  if (!distinct.has('host')) throw new S3Error(malformed, 'The Host header must be signed.')
  return { signedHeaders, signedHeaderList: list }
}

function readHeaderDate(headers: RequestHeaders): Pick<SignatureClaim, 'date' | 'dateMs'> {
  const amzDate = headers['x-amz-date']
  if (amzDate !== undefined) return readDate(amzDate, 'AccessDenied')
  const dateMs = Date.parse(headers.date ?? '')
  if (Number.isNaN(dateMs)) {
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
  }
  return { date: formatSigningDate(dateMs), dateMs }
}

/** A date of SigV4, which must exist in the calendar. Throws `malformed`. */
export function readDate(date: string, malformed: S3ErrorCode): SigningDate {
  return dates.get(date, () => parseDate(date, malformed))
}

function parseDate(date: string, malformed: S3ErrorCode): SigningDate {
  const [, year = 0, month = 0, day = 0, hour = 24, minute = 0, second = 0] =
    DATE.exec(date)?.map(Number) ?? []
  const dateMs = Date.UTC(year, month - 1, day, hour, minute, second)
  // Date.UTC carries over what is too much: 31 April would be 1 May.
  const real = new Date(dateMs).getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  if (real && month >= 1 && month <= 12) return { date, dateMs }
  throw new S3Error(malformed, "The date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
}

/** `YYYYMMDDTHHMMSSZ`. */
export function formatSigningDate(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
}

function readExpires(text: string): number {
  const malformed = 'AuthorizationQueryParametersError'
  if (!/^-?\d{1,12}$/.test(text)) throw new S3Error(malformed, 'X-Amz-Expires should be a number')
  const seconds = Number(text)
  if (seconds < 1) throw new S3Error(malformed, 'X-Amz-Expires must be greater than 0')
  if (seconds > PRESIGNED_SECONDS_MAX) {
    throw new S3Error(
      malformed,
      'X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds',
    )
  }
  return seconds
}

function version2Refused(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  )
}
