/**
 * One S3 request from its raw form to its answer: headers and target, operation, authentication, authorisation,
 * the operation itself, the answer. Whatever is thrown on the way becomes S3's XML here and nowhere else.
 */
import type { ServerResponse } from 'node:http'
import { type S3Error, toS3Error } from '../errors.js'
import type { S3Response } from '../operations/types.js'
import type { Log, RequestObserver } from '../ports.js'
import { type AnswerDependencies, answerRequest } from './answer-request.js'
import type { DirectRequest } from './direct-request.js'
import { errorResponse } from './error-response.js'
import type { Exchange, ParseForm } from './exchange.js'
import { ExchangeTransfer } from './exchange-transfer.js'
import { IncomingBody } from './incoming-body.js'
import { peerAddressOf } from './peer-address.js'
import { sendAnswer } from './send-answer.js'
import type { Watchdog } from './watchdog.js'

export interface ServeDependencies extends AnswerDependencies {
  readonly observe: RequestObserver
  readonly watchdog: Watchdog
}

export type Serve = (
  request: DirectRequest,
  response: ServerResponse,
  rawTarget: string,
  parseForm?: ParseForm,
) => void

/** Client went away, as nginx counts it. */
const STATUS_GONE = 499

/**
 * Never throws. A request that need not wait is answered in the turn in which it came: each promise on the way costs
 * as much as a short operation.
 */
export function createServe(dependencies: ServeDependencies): Serve {
  const { clock, requestIds } = dependencies

  return (request, response, rawTarget, parseForm) => {
    const { expect } = request.headers
    const expectsContinue = expect !== undefined && /\b100-continue\b/i.test(expect)
    // The parser of a form reads the stream itself.
    const isEmpty = parseForm === undefined && hasNoBody(request)
    const exchange: Exchange = {
      request,
      response,
      rawTarget,
      requestId: requestIds.next(),
      nowMs: Math.floor(clock.wallMicros() / 1000),
      startedMs: clock.monotonicMs(),
      incoming: new IncomingBody(request, response, { expectsContinue, isEmpty }),
      parseForm,
      address: peerAddressOf(request.socket),
      headers: undefined,
      bucket: '',
      operation: undefined,
      bytesOut: 0,
      admitted: undefined,
      context: undefined,
    }
    serveNow(exchange, dependencies)
  }
}

/** By the same headers as Node's parser, which refuses what can be read in two ways. */
function hasNoBody({ headers }: DirectRequest): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] === undefined && (length === undefined || length === '0')
}

function serveNow(exchange: Exchange, dependencies: ServeDependencies): void {
  try {
    const answer = answerRequest(exchange, dependencies)
    if (answer instanceof Promise) {
      void serveLater(exchange, { answer }, dependencies)
      return
    }
    const sending = sendAnswer(exchange, answer, dependencies)
    if (sending === undefined) end(exchange, answer.status, dependencies)
    else void serveLater(exchange, { answer, sending }, dependencies)
  } catch (error) {
    void serveLater(exchange, { answer: Promise.reject(error) }, dependencies)
  }
}

/** An answer that has to be waited for, or one that is being sent. */
interface Serving {
  readonly answer: S3Response | Promise<S3Response>
  readonly sending?: Promise<void>
}

/** While a request waits, its client is watched. */
async function serveLater(
  exchange: Exchange,
  serving: Serving,
  dependencies: ServeDependencies,
): Promise<void> {
  const { watchdog } = dependencies
  const transfer = new ExchangeTransfer(exchange)
  watchdog.add(transfer)
  let { sending } = serving
  let status: number
  try {
    const answer = await serving.answer
    sending ??= sendAnswer(exchange, answer, dependencies)
    if (sending !== undefined) await sending
    status = answer.status
  } catch (error) {
    const cause = sending === undefined ? causeOf(exchange, error) : error
    status = await sendError(exchange, cause, dependencies)
  }
  watchdog.remove(transfer)
  end(exchange, status, dependencies)
}

/** What went wrong with the body says more than what its reader made of it. */
function causeOf({ context, incoming }: Exchange, error: unknown): unknown {
  return context?.bodyFailure ?? incoming.failure ?? error
}

function end(exchange: Exchange, status: number, { admission, clock, observe }: ServeDependencies): void {
  if (exchange.admitted !== undefined) admission.leave(exchange.admitted)
  observe({
    bucket: exchange.bucket,
    operation: exchange.operation ?? 'Unknown',
    status,
    durationMs: clock.monotonicMs() - exchange.startedMs,
    bytesIn: exchange.incoming.receivedBytes,
    bytesOut: exchange.bytesOut,
  })
}

async function sendError(
  exchange: Exchange,
  thrown: unknown,
  dependencies: ServeDependencies,
): Promise<number> {
  const { request, response, requestId, rawTarget } = exchange
  const error = toS3Error(thrown)
  const gone = response.destroyed || (request.destroyed && !request.complete)
  if (error.status >= 500 && error.code !== 'NotImplemented' && !gone)
    report(exchange, error, dependencies.log)
  if (gone || response.headersSent) {
    response.destroy()
    return gone ? STATUS_GONE : error.status
  }
  const question = rawTarget.indexOf('?')
  const answer = errorResponse(error, {
    resource: question < 0 ? rawTarget : rawTarget.slice(0, question),
    requestId,
    hostId: dependencies.requestIds.hostId,
    request: exchange,
    ...(isRegionWanted(exchange, error) ? { region: dependencies.config.region } : {}),
  })
  try {
    await sendAnswer(exchange, answer, dependencies)
  } catch {
    // The client has gone while it was told; there is nobody left to tell.
    response.destroy()
    return STATUS_GONE
  }
  return error.status
}

/** A HEAD has no document to tell it in; who has signed for another region is to ask again. */
function isRegionWanted({ request, bucket }: Exchange, { status, elements }: S3Error): boolean {
  if (bucket === '') return false
  const isRefusedHead = request.method === 'HEAD' && (status === 403 || status === 400)
  return isRefusedHead || elements.Region !== undefined
}

function report(exchange: Exchange, error: S3Error, log: Log): void {
  const { requestId, bucket, operation } = exchange
  log.error({ err: error.cause ?? error, requestId, bucket, operation, code: error.code }, 'request failed')
}
