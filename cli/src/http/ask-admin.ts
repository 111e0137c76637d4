/** Asks a running server for what only the root account may know or do. */
import { signRequest } from '@cairn/gateway'
import { systemClock, systemRandom } from '@cairn/protocol'
import type { Config } from '../config.js'
import { endpointOf, schemeOf } from '../endpoint.js'
import { knownRootCredentials } from '../roles/credentials.js'
import { ADMIN_PREFIX } from './admin-paths.js'
import { askServer } from './ask-server.js'

const TIMEOUT_MS = 15_000
const NONCE_BYTES = 16

/** The server does not answer, or refuses; the message says which. */
export class AdminError extends Error {
  override readonly name = 'AdminError'
  /** HTTP status; 0 if nobody answered. */
  readonly status: number
  /** The body of the answer, if it was JSON. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(status: number, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message)
    this.status = status
    this.details = details
  }
}

/** One signed request; the JSON of the answer. Rejects with `AdminError`, or `ConfigError` where there are no root keys. */
export async function askAdmin<T>(config: Config, method: string, path: string): Promise<T> {
  const endpoint = endpointOf(config.host, config.port, schemeOf(config))
  const url = new URL(`${endpoint}${ADMIN_PREFIX}/${path}`)
  const credentials = knownRootCredentials(config)
  const nowMs = Math.floor(systemClock.wallMicros() / 1000)
  // The same request may be sent twice in a second: by this its signatures differ.
  const nonce = { 'x-cairn-nonce': Buffer.from(systemRandom.bytes(NONCE_BYTES)).toString('hex') }
  const headers = signRequest({ method, url, region: config.region, credentials, nowMs, headers: nonce })
  const { status, text } = await askServer(config, `${url.pathname}${url.search}`, {
    method,
    headers,
    timeoutMs: TIMEOUT_MS,
  }).catch((error: unknown) => {
    throw new AdminError(0, `${endpoint} does not answer: ${(error as Error).message}`)
  })
  if (status === 200) return JSON.parse(text) as T
  const details = parseDetails(text)
  throw new AdminError(status, `${endpoint} answers ${status}: ${details.message ?? text}`, details)
}

function parseDetails(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    // Refused before the path was reached: the answer is S3's XML, and is shown as it is.
    return {}
  }
}
