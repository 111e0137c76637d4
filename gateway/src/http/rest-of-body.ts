/**
 * What becomes of the part of a body that nobody read. The next request on the connection must not begin within
 * it, and the client must get to see the answer although it is still sending.
 */
import type { ServerResponse } from 'node:http'
import type { Clock } from '@cairn/protocol'
import { DRAIN_BYTES_MAX, LINGER_BYTES_MAX, LINGER_MS } from '../limits.js'
import type { RequestHeaders } from '../operations/types.js'
import type { DirectRequest } from './direct-request.js'
import type { IncomingBody } from './incoming-body.js'

/** `none`: all was read. `drain`: little is left, read it and go on. `cut`: close after the answer. */
export type RestOfBody = 'none' | 'drain' | 'cut'

export function restOfBody(
  request: DirectRequest,
  headers: RequestHeaders | undefined,
  body: IncomingBody,
): RestOfBody {
  // A head that can be read in two ways may have another end too.
  if (headers === undefined) return 'cut'
  if (request.complete && (request.readableEnded || body.started)) return 'none'
  const chunked = headers['transfer-encoding'] !== undefined
  const length = headers['content-length'] ?? '0'
  if (!chunked && /^0+$/.test(length)) return 'none'
  if (chunked || body.heldBack || (body.started && !body.handedOver)) return 'cut'
  return Number(length) - body.receivedBytes <= DRAIN_BYTES_MAX ? 'drain' : 'cut'
}

/** Reads on for a while after the answer was written, then ends it; closing at once would reset the connection. */
export function linger(response: ServerResponse, body: IncomingBody, clock: Clock): void {
  let leftBytes = LINGER_BYTES_MAX
  const end = (): void => {
    cancel()
    if (!response.writableEnded) response.end()
  }
  const cancel = clock.setTimer(LINGER_MS, end)
  body.discard((sizeBytes) => {
    leftBytes -= sizeBytes
    if (leftBytes < 0) end()
  }, end)
}
