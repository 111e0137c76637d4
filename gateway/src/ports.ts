/** What the gateway needs from the world besides the client, the clock and randomness. */

/** Who owns things. */
export interface Account {
  /** 64 hex digits, as S3 shows owners. */
  readonly canonicalId: string
  readonly displayName: string
}

/** What belongs to one access key. */
export interface Credential {
  readonly accessKey: string
  readonly secretKey: string
  readonly account: Account
  /** Set for temporary credentials: the request must carry exactly this signed token. */
  readonly sessionToken?: string
  /** Wall time at which a temporary credential ends. */
  readonly expiresMs?: number
}

/** Access keys. Answers are not cached by the gateway, so that a revoked key fails at once. */
export interface CredentialStore {
  /** `undefined` for a key nobody knows. Rejects if it cannot know: the request is then refused, never let in. */
  find(accessKey: string): Credential | undefined | Promise<Credential | undefined>
}

/** Structured log; pino fits. Nothing secret and no object bytes are ever given to it. */
export interface Log {
  error(fields: object, message: string): void
  warn(fields: object, message: string): void
  info(fields: object, message: string): void
}

/** One finished S3 request. */
export interface RequestFacts {
  /** Empty for requests to no bucket, and for requests that were refused before a bucket was known. */
  readonly bucket: string
  /** Name of the S3 operation, or `Unknown` if the request named none. */
  readonly operation: string
  /** 499 if the client went away before the answer was complete. */
  readonly status: number
  readonly durationMs: number
  /** Body bytes as received, framing of aws-chunked included. */
  readonly bytesIn: number
  readonly bytesOut: number
}

/** Told about every request once, when its answer has been written or its connection has gone. */
export type RequestObserver = (facts: RequestFacts) => void
