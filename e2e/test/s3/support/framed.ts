/** PUTs with an aws-chunked body. */
import { type Identity, type RequestOptions, type SignedRequest, signRequest } from './signing.js'
import { WireConnection, type WireResponse } from './wire.js'

/** Values of `x-amz-content-sha256` for framed bodies. */
export const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
export const SIGNED_TRAILER = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
export const UNSIGNED_TRAILER = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER'

export interface FramedPut extends RequestOptions {
  readonly decodedBytes: number
  /** Largest single write on the socket. */
  readonly pieceBytes?: number
}

/** A framed PUT; `frame` makes the body from the signed head. */
export async function putFramed(
  server: Identity,
  options: FramedPut,
  frame: (request: SignedRequest) => Buffer,
): Promise<WireResponse> {
  const { decodedBytes, pieceBytes = 1_000_000, ...rest } = options
  const headers = {
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(decodedBytes),
    ...rest.headers,
  }
  // The length of the frames is no part of the signature, but must be known for the head.
  const draft = frame(signRequest(server, { method: 'PUT', ...rest, headers }))
  const unsigned = { 'content-length': String(draft.length) }
  const atMs = rest.atMs ?? Date.now()
  const request = signRequest(server, { method: 'PUT', ...rest, headers, unsigned, atMs })
  const connection = await WireConnection.open(server)
  try {
    await connection.write(request.head)
    void connection.writePieces(frame(request), pieceBytes)
    return await connection.read()
  } finally {
    connection.destroy()
  }
}
