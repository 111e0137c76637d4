/** Who makes a request: decided once, before an operation is chosen. */
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
