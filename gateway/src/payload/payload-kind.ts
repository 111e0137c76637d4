/** The five things that `x-amz-content-sha256` may say about a body. */
import { S3Error } from '../errors.js'

export type PayloadKind =
  | { readonly kind: 'literal'; readonly sha256: Uint8Array }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'chunked'; readonly signed: boolean; readonly trailer: boolean }

/** `undefined` stands for an anonymous request that says nothing; its body is taken as it is. */
export function readPayloadKind(hash: string | undefined): PayloadKind {
  switch (hash) {
    case undefined:
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunked', signed: true, trailer: false }
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunked', signed: true, trailer: true }
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunked', signed: false, trailer: true }
    default:
      return readLiteral(hash)
  }
}

/** Whether an entry of `Content-Encoding` names the framing: it is transport, not content. */
export function isFraming(encoding: string): boolean {
  return encoding.trim().toLowerCase() === 'aws-chunked'
}

function readLiteral(hash: string): PayloadKind {
  if (/^[0-9a-f]{64}$/.test(hash)) return { kind: 'literal', sha256: Buffer.from(hash, 'hex') }
  throw new S3Error(
    'InvalidArgument',
    'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a known STREAMING- value, or a valid sha256 value.',
    { elements: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: hash.slice(0, 128) } },
  )
}
