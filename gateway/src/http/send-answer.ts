/** Writes the answer of an exchange with the headers that every answer has, and settles what is left of its body. */
import type { CairnClient } from '@cairn/client'
import type { Clock } from '@cairn/protocol'
import type { S3Response } from '../operations/types.js'
import type { Log } from '../ports.js'
import type { AnswerBatch } from './answer-batch.js'
import { addCorsHeaders } from './cors.js'
import type { Exchange } from './exchange.js'
import type { RequestIds } from './request-ids.js'
import { linger, type RestOfBody, restOfBody } from './rest-of-body.js'
import { writeResponse } from './write-response.js'

export interface SendDependencies {
  readonly client: CairnClient
  readonly clock: Clock
  readonly log: Log
  readonly requestIds: RequestIds
  readonly dateHeader: (nowMs: number) => string
  /** No connection is kept for a further request. */
  readonly isClosing: () => boolean
  readonly batch: AnswerBatch
}

/** Resolves when all is written; `undefined` if it was written at once. */
export function sendAnswer(
  exchange: Exchange,
  answer: S3Response,
  dependencies: SendDependencies,
): Promise<void> | undefined {
  const { clock, requestIds, dateHeader, isClosing } = dependencies
  const { request, incoming, headers } = exchange
  const rest = restOfBody(request, headers, incoming)
  const baseHeaders = [
    'x-amz-request-id',
    exchange.requestId,
    'x-amz-id-2',
    requestIds.hostId,
    'Date',
    dateHeader(Math.floor(clock.wallMicros() / 1000)),
    'Server',
    'Cairn',
    'X-Content-Type-Options',
    'nosniff',
  ]
  if (rest === 'cut' || isClosing()) baseHeaders.push('Connection', 'close')
  const sending = { exchange, answer, rest, baseHeaders }
  if (headers?.origin === undefined) return write(sending, dependencies)
  const { requestId, bucket } = exchange
  const asked = { requestId, bucket, method: request.method ?? '', origin: headers.origin }
  return addCorsHeaders(baseHeaders, asked, dependencies).then(() => write(sending, dependencies))
}

interface Sending {
  readonly exchange: Exchange
  readonly answer: S3Response
  readonly rest: RestOfBody
  readonly baseHeaders: string[]
}

function write(
  { exchange, answer, rest, baseHeaders }: Sending,
  { batch, clock }: SendDependencies,
): Promise<void> | undefined {
  const { request, response, incoming } = exchange
  const method = request.method ?? ''
  // What is left of a whole body stays in the stream, and with it the socket stopped, unless somebody reads it.
  if (rest === 'drain' || (rest === 'none' && incoming.started)) request.resume()
  const keepOpen = rest === 'cut'
  const written = (bytesOut: number): void => {
    exchange.bytesOut = bytesOut
    if (keepOpen) linger(response, incoming, clock)
  }
  const bytesOut = writeResponse(response, answer, { method, baseHeaders, keepOpen, batch })
  if (typeof bytesOut !== 'number') return bytesOut.then(written)
  written(bytesOut)
  return undefined
}
