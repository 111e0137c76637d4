/** What pages of other origins are told: headers of actual answers, and answers to preflight requests. */
import type { CairnClient } from '@cairn/client'
import type { Clock } from '@cairn/protocol'
import { S3Error } from '../errors.js'
import { CORS_HEADERS_MAX } from '../limits.js'
import { type CorsMatch, findCorsMatch } from '../operations/buckets/cors-rules.js'
import type { RequestHeaders, ResponseHeaders, S3Response } from '../operations/types.js'
import type { Log } from '../ports.js'
import { corsCacheOf, type FoundRules } from './cors-cache.js'

/** Caches must keep answers to different origins apart. */
const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method'

const NOT_ALLOWED =
  "This CORS request is not allowed. This is usually because the evaluation of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."

export interface CorsRequest {
  readonly requestId: string
  /** Empty if the request names none. */
  readonly bucket: string
  readonly method: string
  readonly origin: string
}

export interface CorsDependencies {
  readonly client: CairnClient
  readonly clock: Clock
  readonly log: Log
}

/**
 * Adds what a page of another origin may do with an answer, be it an error: name, value, name, value … If nobody
 * can know, it may do nothing, and the answer itself does not suffer. A preflight has said it all.
 */
export async function addCorsHeaders(
  head: string[],
  request: CorsRequest,
  dependencies: CorsDependencies,
): Promise<void> {
  if (request.method === 'OPTIONS') return
  try {
    const rules = await findRules(request.bucket, dependencies)
    for (const [name, value] of Object.entries(corsHeaders(rules, request))) {
      if (value !== undefined) head.push(name, String(value))
    }
  } catch (err) {
    dependencies.log.warn({ err, requestId: request.requestId }, 'CORS rules cannot be read')
  }
}

async function findRules(bucket: string, { client, clock }: CorsDependencies): Promise<FoundRules> {
  return bucket === '' ? undefined : corsCacheOf(client).find(bucket, clock.monotonicMs())
}

function corsHeaders(
  rules: FoundRules,
  { method, origin }: Pick<CorsRequest, 'method' | 'origin'>,
): ResponseHeaders {
  if (rules === undefined || rules === 'NoSuchBucket') return {}
  const match = findCorsMatch(rules, { method, origin, headers: [] })
  return match === undefined ? { Vary: VARY } : allowingHeaders(match, origin)
}

/** A request for what a page may do. */
export interface Preflight {
  /** Empty if it names none. */
  readonly bucket: string
  /** Empty if it is about the bucket. */
  readonly key: string
  readonly headers: RequestHeaders
}

/** The answer to a preflight request. It needs no authentication: it says what is allowed, and does nothing. */
export async function answerPreflight(
  { bucket, key, headers }: Preflight,
  dependencies: CorsDependencies,
): Promise<S3Response> {
  const { origin } = headers
  const method = headers['access-control-request-method']
  if (origin === undefined || origin === '') {
    throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.')
  }
  const rules = await findRules(bucket, dependencies)
  const asked = { method, resource: key === '' ? 'BUCKET' : 'OBJECT' } as const
  // What the bucket lacks is said of the bucket, whatever is asked for.
  const ofBucket = { method, resource: 'BUCKET' } as const
  if (rules === 'NoSuchBucket') throw forbidden('Bucket not found', ofBucket)
  if (rules === undefined) throw forbidden('CORS is not enabled for this bucket.', ofBucket)
  if (method === undefined || !/^[A-Z]{1,16}$/.test(method)) {
    throw new S3Error('BadRequest', `Invalid Access-Control-Request-Method: ${method?.slice(0, 128) ?? null}`)
  }
  const names = readHeaderNames(headers['access-control-request-headers'])
  const match = findCorsMatch(rules, { origin, method, headers: names })
  if (match === undefined) throw forbidden(NOT_ALLOWED, asked)
  return {
    status: 200,
    headers: {
      ...allowingHeaders(match, origin),
      ...(names.length === 0 ? {} : { 'Access-Control-Allow-Headers': names.join(', ') }),
    },
  }
}

function allowingHeaders({ rule, anyOrigin }: CorsMatch, origin: string): ResponseHeaders {
  const exposed = rule.exposeHeaders.join(', ')
  return {
    'Access-Control-Allow-Origin': anyOrigin ? '*' : origin,
    'Access-Control-Allow-Methods': rule.allowedMethods.join(', '),
    ...(exposed === '' ? {} : { 'Access-Control-Expose-Headers': exposed }),
    ...(rule.maxAgeSeconds === undefined ? {} : { 'Access-Control-Max-Age': rule.maxAgeSeconds }),
    ...(anyOrigin ? {} : { 'Access-Control-Allow-Credentials': 'true' }),
    Vary: VARY,
  }
}

function readHeaderNames(list: string | undefined): readonly string[] {
  const names = (list ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
  if (names.length <= CORS_HEADERS_MAX) return names
  throw new S3Error('BadRequest', 'Too many names in Access-Control-Request-Headers.')
}

function forbidden(
  message: string,
  { method = 'OPTIONS', resource }: { method: string | undefined; resource: 'BUCKET' | 'OBJECT' },
): S3Error {
  return new S3Error('AccessForbidden', `CORSResponse: ${message}`, {
    elements: { Method: method.slice(0, 128), ResourceType: resource },
    headers: { Vary: VARY },
  })
}
