/** For requests that are not S3's but come to its port: who sends them, proved as for S3. */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '@cairn/protocol'
import type { GatewayConfig } from '../config.js'
import { S3Error } from '../errors.js'
import { peerAddressOf } from '../http/peer-address.js'
import { parseQuery } from '../http/query.js'
import { readRequestHeaders } from '../http/request-headers.js'
import { parseRequestTarget } from '../http/request-target.js'
import type { CredentialStore } from '../ports.js'
import { authenticate } from './authenticate.js'
import type { AccountPrincipal } from './principal.js'
import { readDate } from './signature-claim.js'
import { SigningKeys } from './signing-keys.js'

export interface AccountGuardOptions {
  readonly config: GatewayConfig
  readonly credentials: CredentialStore
  readonly clock: Clock
}

/** Who sent a request, and the signature that proves it. */
export interface ProvenRequest {
  readonly principal: AccountPrincipal
  /** 64 hex digits; the same only for the same request, signed in the same second. */
  readonly signature: string
  readonly signedMs: number
}

/**
 * Resolves with the account whose signature the request carries in its `Authorization` header; rejects with `S3Error`,
 * without one too. Presigned requests, which may be good for a week, are refused.
 */
export type AccountGuard = (request: IncomingMessage) => Promise<ProvenRequest>

/** A guard by the same rules, and the same code, as S3 requests; wherever the request comes from. */
export function createAccountGuard({ config, credentials, clock }: AccountGuardOptions): AccountGuard {
  const settings = { ...config, domain: config.domain, credentials, keys: new SigningKeys() }
  return async (request) => {
    const headers = readRequestHeaders(request.rawHeaders)
    const target = parseRequestTarget(request.url ?? '/', headers.host ?? '', config.domain)
    const raw = {
      method: request.method ?? 'GET',
      target,
      query: parseQuery(target.rawQuery),
      headers,
      rawHeaders: request.rawHeaders,
      remoteAddress: peerAddressOf(request.socket),
    }
    if (headers.authorization === undefined) throw new S3Error('AccessDenied')
    const nowMs = Math.floor(clock.wallMicros() / 1000)
    const { principal, signing } = await authenticate(raw, settings, nowMs)
    if (principal.kind !== 'account' || signing === undefined) throw new S3Error('AccessDenied')
    const { dateMs } = readDate(signing.date, 'AccessDenied')
    return { principal, signature: signing.seedSignature, signedMs: dateMs }
  }
}
