/** A signer of aws-chunked bodies, written from AWS's description, apart from the code under test. */
import { createHash, createHmac } from 'node:crypto'

export const DATE = '20130524T000000Z'
export const SCOPE = '20130524/us-east-1/s3/aws4_request'
export const EMPTY_SHA256: string = createHash('sha256').update('').digest('hex')

export function signingKey(secret: string): Buffer {
  let key: Buffer = Buffer.from(`AWS4${secret}`)
  for (const step of ['20130524', 'us-east-1', 's3', 'aws4_request']) {
    key = createHmac('sha256', key).update(step).digest()
  }
  return key
}

export interface FrameOptions {
  readonly chunks: readonly Uint8Array[]
  /** Signs chunks and trailer, continuing from this signature. */
  readonly signed?: { readonly key: Buffer; readonly seed: string }
  readonly trailers?: Readonly<Record<string, string>>
}

/** The framed body: chunks, the final empty one, trailers, the closing CRLF. */
export function frame({ chunks, signed, trailers }: FrameOptions): Buffer {
  let previous = signed?.seed ?? ''
  const sign = (algorithm: string, rest: string): string => {
    const text = `${algorithm}\n${DATE}\n${SCOPE}\n${previous}\n${rest}`
    previous = createHmac('sha256', signed?.key ?? '')
      .update(text)
      .digest('hex')
    return previous
  }
  const parts: Uint8Array[] = []
  for (const chunk of [...chunks, new Uint8Array()]) {
    const digest = createHash('sha256').update(chunk).digest('hex')
    const signature =
      signed === undefined
        ? ''
        : `;chunk-signature=${sign('AWS4-HMAC-SHA256-PAYLOAD', `${EMPTY_SHA256}\n${digest}`)}`
    parts.push(Buffer.from(`${chunk.length.toString(16)}${signature}\r\n`), chunk)
    if (chunk.length > 0) parts.push(Buffer.from('\r\n'))
  }
  let lines = ''
  for (const [name, value] of Object.entries(trailers ?? {})) {
    parts.push(Buffer.from(`${name}:${value}\r\n`))
    lines += `${name}:${value}\n`
  }
  if (signed !== undefined && trailers !== undefined) {
    const digest = createHash('sha256').update(lines).digest('hex')
    parts.push(Buffer.from(`x-amz-trailer-signature:${sign('AWS4-HMAC-SHA256-TRAILER', digest)}\r\n`))
  }
  parts.push(Buffer.from('\r\n'))
  return Buffer.concat(parts)
}

/** Cuts bytes anywhere. */
export function cut(bytes: Uint8Array, nextSize: () => number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = Math.max(1, nextSize())
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
