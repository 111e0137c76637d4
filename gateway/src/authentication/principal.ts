/** Who makes a request: decided once, before an operation is chosen. */
import { hash } from 'node:crypto'
import { S3Error } from '../errors.js'
import type { Account } from '../ports.js'

export interface AccountPrincipal {
  readonly kind: 'account'
  readonly accessKey: string
  readonly account: Account
}

export interface AnonymousPrincipal {
  readonly kind: 'anonymous'
}

/** Operations see this, never the request's credentials. */
export type Principal = AccountPrincipal | AnonymousPrincipal

/** The principal of requests without any credentials. */
export const ANONYMOUS: AnonymousPrincipal = { kind: 'anonymous' }

/** S3's canonical id of nobody in particular. */
const ANONYMOUS_CANONICAL_ID = '65a011a29cdf8ec533ec3d1ccaae921c'

/** Canonical id that owns what the principal writes. */
export function canonicalIdOf(principal: Principal): string {
  return principal.kind === 'account' ? principal.account.canonicalId : ANONYMOUS_CANONICAL_ID
}

/** 12 digits that follow from the canonical id, as AWS shows accounts outside of ACLs. */
function accountIdOf(canonicalId: string): string {
  const digest = BigInt(`0x${hash('sha256', canonicalId)}`)
  return String(digest % 1_000_000_000_000n).padStart(12, '0')
}

/**
 * Compares an expected owner with the real one: by account id as AWS does, and by canonical id. `AccessDenied` for
 * anything else.
 */
export function requireOwner(expected: string, canonicalId: string): void {
  if (expected === canonicalId || expected === accountIdOf(canonicalId)) return
  throw new S3Error('AccessDenied')
}
