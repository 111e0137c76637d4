/**
 * Who sends a request: SigV4 by header or presigned query, verified against the raw request; SigV2 where a switch
 * allows it. Everything that is not proved is refused; without any credentials the principal is anonymous.
 */
import { S3Error } from '../errors.js'
import type { Query } from '../http/query.js'
import { withPresignedHeaders } from '../http/request-headers.js'
import { findVirtualBucket, type RequestTarget } from '../http/request-target.js'
import { CLOCK_SKEW_MS } from '../limits.js'
import type { RequestHeaders } from '../operations/types.js'
import type { Credential, CredentialStore } from '../ports.js'
import { canonicalRequest, stringToSign } from './canonical-request.js'
import { ANONYMOUS, type Principal } from './principal.js'
import { readSignatureClaim, type SignatureClaim } from './signature-claim.js'
import {
  hasSignedVersion2,
  readVersion2Claim,
  stringsToSignVersion2,
  type Version2Claim,
} from './signature-version-2.js'
import type { SigningKey, SigningKeys } from './signing-keys.js'

/** A request as it came, before anything of it is believed. */
export interface RawRequest {
  readonly method: string
  readonly target: RequestTarget
  readonly query: Query
  /** As received; nothing from the query is among them. */
  readonly headers: RequestHeaders
  readonly rawHeaders: readonly string[]
  readonly remoteAddress: string
}

/** What decides whether a signature counts. */
export interface AuthenticationSettings {
  readonly region: string
  /** Base domain of virtual-host style. */
  readonly domain?: string | undefined
  readonly publicEndpoints: readonly string[]
  readonly trustedProxies: readonly string[]
  readonly credentials: CredentialStore
  readonly keys: SigningKeys
  /** Signature Version 2 counts too. */
  readonly signatureVersion2?: boolean
}

/** What signed chunks continue from. */
export interface ChunkSigning {
  readonly key: SigningKey
  readonly date: string
  readonly scope: string
  readonly seedSignature: string
}

/** Who has sent a request, and what was signed of its body. */
export interface Authentication {
  readonly principal: Principal
  /** Absent for anonymous requests. */
  readonly signing?: ChunkSigning
  /** The `x-amz-content-sha256` that was signed; what an anonymous request says of its body, if anything. */
  readonly payloadHash?: string
}

const SERVICE = 's3'
/** Signs for access keys that nobody has, so that an unknown key takes as long as a wrong secret. */
const DUMMY_SECRET = 'no-such-access-key'

/** Rejects with `S3Error` unless the request is anonymous or its signature is right, in scope and in time. */
export async function authenticate(
  request: RawRequest,
  settings: AuthenticationSettings,
  nowMs: number,
): Promise<Authentication> {
  return await authenticateNow(request, settings, nowMs)
}

/** The same without a promise where the credentials are at hand. Throws, or rejects, as `authenticate` does. */
export function authenticateNow(
  request: RawRequest,
  settings: AuthenticationSettings,
  nowMs: number,
): Authentication | Promise<Authentication> {
  if (settings.signatureVersion2 === true) {
    const old = readVersion2Claim(request.headers, request.query)
    if (old !== undefined) return authenticateVersion2(request, old, settings, nowMs)
  }
  const claim = readSignatureClaim(request.headers, request.query)
  if (claim === undefined) return anonymous(request.headers)
  checkScope(claim, settings.region)
  checkTime(claim, nowMs)
  checkSignedHeaders(claim, request.rawHeaders)
  const found = settings.credentials.find(claim.accessKey)
  const judged = { request, claim, settings, nowMs }
  return found instanceof Promise
    ? found.then((credential) => judge(judged, credential))
    : judge(judged, found)
}

interface Judged {
  readonly request: RawRequest
  readonly claim: SignatureClaim
  readonly settings: AuthenticationSettings
  readonly nowMs: number
}

function judge(
  { request, claim, settings, nowMs }: Judged,
  credential: Credential | undefined,
): Authentication {
  const key = settings.keys.get(
    credential === undefined ? '' : claim.accessKey,
    credential?.secretKey ?? DUMMY_SECRET,
    claim,
  )
  const matches = verify(request, claim, key, settings)
  if (credential === undefined) throw unknownAccessKey(claim)
  if (!matches) throw mismatch(request, claim)
  checkSession(claim.sessionToken, credential, nowMs)
  return {
    principal: { kind: 'account', accessKey: claim.accessKey, account: credential.account },
    signing: { key, date: claim.date, scope: claim.scope, seedSignature: claim.signature },
    payloadHash: claim.payloadHash,
  }
}

async function authenticateVersion2(
  request: RawRequest,
  claim: Version2Claim,
  settings: AuthenticationSettings,
  nowMs: number,
): Promise<Authentication> {
  const headers = withPresignedHeaders(request.headers, request.query)
  checkTimeVersion2(claim, nowMs)
  const { method, query, target } = request
  const virtualBucket = findVirtualBucket(target.host, settings.domain)
  const texts = stringsToSignVersion2(claim, {
    method,
    rawPath: target.rawPath,
    virtualBucket,
    query,
    headers,
  })
  const credential = await settings.credentials.find(claim.accessKey)
  const secretKey = credential?.secretKey ?? DUMMY_SECRET
  const matches = texts.some((text) => hasSignedVersion2(secretKey, text, claim.signature))
  if (credential === undefined) throw unknownAccessKey(claim)
  if (!matches) {
    throw new S3Error('SignatureDoesNotMatch', undefined, {
      elements: {
        AWSAccessKeyId: claim.accessKey,
        StringToSign: texts[0],
        SignatureProvided: claim.signature,
      },
    })
  }
  checkSession(headers['x-amz-security-token'], credential, nowMs)
  return {
    principal: { kind: 'account', accessKey: claim.accessKey, account: credential.account },
    payloadHash: headers['x-amz-content-sha256'] ?? 'UNSIGNED-PAYLOAD',
  }
}

function checkTimeVersion2(claim: Version2Claim, nowMs: number): void {
  if (claim.kind === 'header') checkSkew(claim.timeMs, new Date(claim.timeMs).toISOString(), nowMs)
  else if (nowMs > claim.timeMs) {
    throw new S3Error('AccessDenied', 'Request has expired', {
      elements: { Expires: new Date(claim.timeMs).toISOString(), ServerTime: new Date(nowMs).toISOString() },
    })
  }
}

function checkSkew(timeMs: number, shown: string, nowMs: number): void {
  if (Math.abs(timeMs - nowMs) <= CLOCK_SKEW_MS) return
  throw new S3Error('RequestTimeTooSkewed', undefined, {
    elements: {
      RequestTime: shown,
      ServerTime: new Date(nowMs).toISOString(),
      MaxAllowedSkewMilliseconds: String(CLOCK_SKEW_MS),
    },
  })
}

/** Framed bodies are framed whoever sends them. */
function anonymous(headers: RequestHeaders): Authentication {
  const payloadHash = headers['x-amz-content-sha256']
  return { principal: ANONYMOUS, ...(payloadHash === undefined ? {} : { payloadHash }) }
}

function checkScope(claim: SignatureClaim, region: string): void {
  if (claim.region !== region) {
    const message = `the region '${claim.region}' is wrong; expecting '${region}'`
    throw malformedScope(claim, message, { Region: region })
  }
  if (claim.service !== SERVICE) {
    throw malformedScope(
      claim,
      `incorrect service "${claim.service}". This endpoint belongs to "${SERVICE}".`,
    )
  }
  if (claim.day !== claim.date.slice(0, 8)) {
    throw malformedScope(claim, 'the date of the credential scope is not the date of the request')
  }
}

function malformedScope(
  { kind }: SignatureClaim,
  message: string,
  elements: S3Error['elements'] = {},
): S3Error {
  return kind === 'header'
    ? new S3Error('AuthorizationHeaderMalformed', `The authorization header is malformed; ${message}`, {
        elements,
      })
    : new S3Error(
        'AuthorizationQueryParametersError',
        `Error parsing the X-Amz-Credential parameter; ${message}`,
        { elements },
      )
}

function checkTime(claim: SignatureClaim, nowMs: number): void {
  const aheadMs = claim.dateMs - nowMs
  if (claim.expiresSeconds === undefined) {
    checkSkew(claim.dateMs, claim.date, nowMs)
    return
  }
  if (aheadMs > CLOCK_SKEW_MS) throw new S3Error('AccessDenied', 'Request is not yet valid')
  const expiresMs = claim.dateMs + claim.expiresSeconds * 1000
  if (nowMs <= expiresMs) return
  throw new S3Error('AccessDenied', 'Request has expired', {
    elements: {
      'X-Amz-Expires': String(claim.expiresSeconds),
      Expires: new Date(expiresMs).toISOString(),
      ServerTime: new Date(nowMs).toISOString(),
    },
  })
}

/**
 * An unsigned `x-amz-*` header could turn a signed upload into a copy of anything the signer may read.
 * `x-amz-content-sha256` is exempt with header signatures: its value is a line of the canonical request.
 */
function checkSignedHeaders(claim: SignatureClaim, rawHeaders: readonly string[]): void {
  const unsigned: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const raw = rawHeaders[at] ?? ''
    if (raw[0] !== 'x' && raw[0] !== 'X') continue
    const name = raw.toLowerCase()
    if (!name.startsWith('x-amz-') || claim.signedHeaders.includes(name)) continue
    if (name !== 'x-amz-content-sha256') unsigned.push(name)
  }
  if (unsigned.length === 0) return
  throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
    elements: { HeadersNotSigned: unsigned.join(', ') },
  })
}

function verify(
  request: RawRequest,
  claim: SignatureClaim,
  key: SigningKey,
  settings: AuthenticationSettings,
): boolean {
  const verifyHost = (host: string): boolean =>
    key.hasSigned(stringToSign(claim, canonical(request, claim, host)), claim.signature)
  if (verifyHost(request.target.host)) return true
  return otherHosts(request, settings).some(verifyHost)
}

/**
 * Names under which clients may know us: configured ones, and what a trusted proxy says it was asked for. Only
 * those that name the same bucket as the request's own host: the signature of one must not open another.
 */
function otherHosts(request: RawRequest, settings: AuthenticationSettings): readonly string[] {
  const forwarded = request.headers['x-forwarded-host']
  const trusted = forwarded !== undefined && settings.trustedProxies.includes(request.remoteAddress)
  const hosts = trusted ? [...settings.publicEndpoints, forwarded] : settings.publicEndpoints
  const bucket = findVirtualBucket(request.target.host, settings.domain)
  return hosts.filter((host) => findVirtualBucket(host, settings.domain) === bucket)
}

function canonical(request: RawRequest, claim: SignatureClaim, host: string): string {
  return canonicalRequest({
    method: request.method,
    rawPath: request.target.rawPath,
    query: request.query,
    headers: request.headers,
    signedHeaders: claim.signedHeaders,
    signedHeaderList: claim.signedHeaderList,
    host,
    payloadHash: claim.payloadHash,
  })
}

function unknownAccessKey(claim: { readonly accessKey: string }): S3Error {
  return new S3Error('InvalidAccessKeyId', undefined, { elements: { AWSAccessKeyId: claim.accessKey } })
}

/** Tells what was signed here, as S3 does: it helps whoever writes a client and reveals no secret. */
function mismatch(request: RawRequest, claim: SignatureClaim): S3Error {
  const canonicalText = canonical(request, claim, request.target.host)
  return new S3Error('SignatureDoesNotMatch', undefined, {
    elements: {
      AWSAccessKeyId: claim.accessKey,
      StringToSign: stringToSign(claim, canonicalText),
      SignatureProvided: claim.signature,
      CanonicalRequest: canonicalText,
    },
  })
}

/** Throws `ExpiredToken` or `InvalidToken` for a session that is over, or another one. */
export function checkSession(sessionToken: string | undefined, credential: Credential, nowMs: number): void {
  if (credential.expiresMs !== undefined && nowMs >= credential.expiresMs) throw new S3Error('ExpiredToken')
  if (sessionToken === credential.sessionToken) return
  throw new S3Error('InvalidToken')
}
