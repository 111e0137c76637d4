import type { AuthenticationSettings, RawRequest } from '../../src/authentication/authenticate.js'
import { SigningKeys } from '../../src/authentication/signing-keys.js'
import { parseQuery } from '../../src/http/query.js'
import { readRequestHeaders } from '../../src/http/request-headers.js'
import { parseRequestTarget } from '../../src/http/request-target.js'
import type { Credential } from '../../src/ports.js'

/** The credential of AWS's published examples. */
export const EXAMPLE: Credential = {
  accessKey: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  account: { canonicalId: 'c'.repeat(64), displayName: 'example' },
}

export interface RequestParts {
  readonly method: string
  readonly target: string
  /** Pairs, in order; names may repeat. */
  readonly headers: readonly (readonly [string, string])[]
  readonly remoteAddress?: string
}

/** A request as the gateway's front hands it to `authenticate`. */
export function rawRequest(parts: RequestParts): RawRequest {
  const rawHeaders = parts.headers.flat()
  const headers = readRequestHeaders(rawHeaders)
  const target = parseRequestTarget(parts.target, headers.host ?? '')
  return {
    method: parts.method,
    target,
    query: parseQuery(target.rawQuery),
    headers,
    rawHeaders,
    remoteAddress: parts.remoteAddress ?? '127.0.0.1',
  }
}

export function settings(overrides: Partial<AuthenticationSettings> = {}): AuthenticationSettings {
  return {
    region: 'us-east-1',
    publicEndpoints: [],
    trustedProxies: [],
    credentials: { find: (accessKey) => (accessKey === EXAMPLE.accessKey ? EXAMPLE : undefined) },
    keys: new SigningKeys(),
    ...overrides,
  }
}
