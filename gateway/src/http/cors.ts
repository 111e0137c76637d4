/** What pages of other origins are told: headers of actual answers, and answers to preflight requests. */
import { S3Error } from '../errors.js'
import { CORS_HEADERS_MAX } from '../limits.js'
import { type CorsMatch, type CorsRule, findCorsMatch } from '../operations/cors-rules.js'
import type { RequestHeaders, ResponseHeaders, S3Response } from '../operations/types.js'

/** Caches must keep answers to different origins apart. */
const VARY = 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method'

export interface CorsRequest {
  /** Of the request; of a preflight what it announces. */
  readonly method: string
  readonly origin: string
}

/** Headers of an answer, be it a success or an error. None for a bucket without rules. */
export function corsHeaders(rules: readonly CorsRule[] | undefined, request: CorsRequest): ResponseHeaders {
  if (rules === undefined) return {}
  const match = findCorsMatch(rules, { ...request, headers: [] })
  return match === undefined ? { Vary: VARY } : allowingHeaders(match, request.origin)
}

/** The answer to a preflight request. It needs no authentication: it says what is allowed, and does nothing. */
export function answerPreflight(rules: readonly CorsRule[] | undefined, headers: RequestHeaders): S3Response {
  const { origin } = headers
  const method = headers['access-control-request-method']
  if (origin === undefined || origin === '') {
    throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.')
  }
  if (method === undefined || !/^[A-Z]{1,16}$/.test(method)) {
    throw new S3Error('BadRequest', 'Invalid Access-Control-Request-Method: null')
  }
  const names = readHeaderNames(headers['access-control-request-headers'])
  if (rules === undefined) throw forbidden('CORSResponse: CORS is not enabled for this bucket.', method)
  const match = findCorsMatch(rules, { origin, method, headers: names })
  if (match === undefined) {
    throw forbidden(
      "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
      method,
    )
  }
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

function forbidden(message: string, method: string): S3Error {
  return new S3Error('AccessForbidden', message, {
    elements: { Method: method, ResourceType: 'OBJECT' },
    headers: { Vary: VARY },
  })
}
