/**
 * One S3 request from its raw form to its answer: headers and target, operation, authentication, authorisation,
 * the operation itself, the answer. Whatever is thrown on the way becomes S3's XML here and nowhere else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AuthenticationSettings, authenticateNow } from '../authentication/authenticate.js'
import { authorize } from '../authentication/authorize.js'
import { requireOwner } from '../authentication/principal.js'
import type { GatewayConfig } from '../config.js'
import { S3Error, toS3Error } from '../errors.js'
import type { OperationName } from '../operations/table.js'
import type { Operation, RequestHeaders, S3Response } from '../operations/types.js'
import type { Log, RequestObserver } from '../ports.js'
import { type Admission, MANY } from './admission.js'
import { answerPreflight } from './cors.js'
import { errorResponse } from './error-response.js'
import type { Exchange, ParseForm } from './exchange.js'
import { ExchangeTransfer } from './exchange-transfer.js'
import { openFormRequest } from './form-request.js'
import { IncomingBody } from './incoming-body.js'
import { networkOf, peerAddressOf } from './peer-address.js'
import { parseQuery, type Query } from './query.js'
import { RequestContext } from './request-context.js'
import { addPresignedHeaders, readRequestHeaders } from './request-headers.js'
import { parseRequestTarget, type RequestTarget } from './request-target.js'
import { resolveOperation } from './resolve-operation.js'
import { type SendDependencies, sendAnswer } from './send-answer.js'
import type { Watchdog } from './watchdog.js'

export interface ServeDependencies extends SendDependencies {
  /** What is built; everything else in the table answers 501. */
  readonly operations: ReadonlyMap<OperationName, Operation>
  readonly config: GatewayConfig
  readonly authentication: AuthenticationSettings
  readonly observe: RequestObserver
  readonly admission: Admission
  readonly watchdog: Watchdog
}

export type Serve = (
  request: IncomingMessage,
  response: ServerResponse,
  rawTarget: string,
  parseForm?: ParseForm,
) => Promise<void>

/** Methods that any operation has; the rest is refused before anything is looked at. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'])

/** Client went away, as nginx counts it. */
const STATUS_GONE = 499

/** Never rejects. Each promise on the way costs as much as a short operation: what is known is not waited for. */
export function createServe(dependencies: ServeDependencies): Serve {
  const { clock, requestIds } = dependencies

  return async (request, response, rawTarget, parseForm) => {
    const expectsContinue = /\b100-continue\b/i.test(request.headers.expect ?? '')
    const exchange: Exchange = {
      request,
      response,
      rawTarget,
      requestId: requestIds.next(),
      nowMs: Math.floor(clock.wallMicros() / 1000),
      startedMs: clock.monotonicMs(),
      incoming: new IncomingBody(request, response, { expectsContinue }),
      parseForm,
      headers: undefined,
      bucket: '',
      operation: undefined,
      bytesOut: 0,
      admitted: undefined,
    }
    const status = await serveWatched(exchange, dependencies)
    dependencies.observe({
      bucket: exchange.bucket,
      operation: exchange.operation ?? 'Unknown',
      status,
      durationMs: clock.monotonicMs() - exchange.startedMs,
      bytesIn: exchange.incoming.receivedBytes,
      bytesOut: exchange.bytesOut,
    })
  }
}

/** The status sent, or that of a client that has gone. */
async function serveWatched(exchange: Exchange, dependencies: ServeDependencies): Promise<number> {
  const { admission, watchdog } = dependencies
  const transfer = new ExchangeTransfer(exchange)
  watchdog.add(transfer)
  try {
    const answer = await answerRequest(exchange, dependencies)
    const sending = sendAnswer(exchange, answer, dependencies)
    if (sending !== undefined) await sending
    return answer.status
  } catch (error) {
    return await sendError(exchange, error, dependencies)
  } finally {
    watchdog.remove(transfer)
    if (exchange.admitted !== undefined) admission.leave(exchange.admitted)
  }
}

/** The turn of a request whose sender is known; `undefined` if it has it at once. */
function takeTurn(exchange: Exchange, { admission, config }: ServeDependencies): Promise<void> | undefined {
  const address = peerAddressOf(exchange.request.socket)
  const sender = config.trustedProxies.includes(address) ? MANY : networkOf(address)
  const admitted = (): void => {
    exchange.admitted = sender
  }
  const turn = admission.enter(sender)
  if (turn !== undefined) return turn.then(admitted)
  admitted()
  return undefined
}

async function answerRequest(exchange: Exchange, dependencies: ServeDependencies): Promise<S3Response> {
  const { request } = exchange
  const method = request.method ?? ''
  const wireHeaders = readRequestHeaders(request.rawHeaders)
  exchange.headers = wireHeaders
  if (request.httpVersionMajor !== 1) throw new S3Error('BadRequest', 'HTTP 1.0 or 1.1 is required.')
  if (!METHODS.has(method)) throw new S3Error('MethodNotAllowed', undefined, { elements: { Method: method } })
  const { config } = dependencies
  const target = parseRequestTarget(exchange.rawTarget, wireHeaders.host ?? '', config.domain)
  exchange.bucket = target.bucket
  const query = parseQuery(target.rawQuery)
  const headers = mergeHeaders(wireHeaders, query)
  const resolved = resolve({ method, target, query, headers })
  if (resolved.name !== undefined) exchange.operation = resolved.name
  // These prove who sends them in their body, or need no proof: the signature of a header says nothing.
  switch (resolved.name) {
    case 'PreflightRequest':
      return answerPreflight({ bucket: target.bucket, headers: wireHeaders }, dependencies)
    case 'PostObject':
      return serveForm(exchange, { query, headers: wireHeaders }, dependencies)
    case 'QueryApi':
      throw notBuilt(resolved.name)
  }
  const raw = {
    method,
    target,
    query,
    headers: wireHeaders,
    rawHeaders: request.rawHeaders,
    remoteAddress: peerAddressOf(request.socket),
  }
  const authenticated = authenticateNow(raw, dependencies.authentication, exchange.nowMs)
  const authentication = authenticated instanceof Promise ? await authenticated : authenticated
  if (resolved.name === undefined) throw refuse(resolved.error, authentication.principal.kind === 'anonymous')
  authorize(authentication.principal, { operation: resolved.name, bucket: target.bucket, key: target.key })
  if (target.undecodable) throw undecodable(method)
  const context = new RequestContext({
    operation: resolved.name,
    method,
    bucket: target.bucket,
    key: target.key,
    query,
    headers,
    requestId: exchange.requestId,
    authentication,
    client: dependencies.client,
    config,
    log: dependencies.log,
    nowMs: exchange.nowMs,
    body: exchange.incoming,
    response: exchange.response,
    secureTransport: isSecure(exchange, dependencies),
    clock: dependencies.clock,
  })
  const turn = takeTurn(exchange, dependencies)
  if (turn !== undefined) await turn
  return await operate(context, exchange, dependencies.operations)
}

/** An upload by form. The parser is kept off the connection from the moment on that the answer is known. */
async function serveForm(
  exchange: Exchange,
  { query, headers }: { query: Query; headers: RequestHeaders },
  dependencies: ServeDependencies,
): Promise<S3Response> {
  const { bucket, incoming, nowMs, parseForm: parts } = exchange
  if (parts === undefined) throw new S3Error('MalformedPOSTRequest')
  const { client, config, log } = dependencies
  try {
    const facts = await openFormRequest(
      { bucket, query, headers, incoming, parts, nowMs },
      dependencies.authentication,
    )
    const context = new RequestContext({
      ...facts,
      operation: 'PostObject',
      method: 'POST',
      bucket,
      query,
      requestId: exchange.requestId,
      client,
      config,
      log,
      nowMs,
      response: exchange.response,
      secureTransport: isSecure(exchange, dependencies),
      clock: dependencies.clock,
    })
    await takeTurn(exchange, dependencies)
    return await operate(context, exchange, dependencies.operations)
  } finally {
    incoming.takeBack()
  }
}

/** Over TLS with us, or with a proxy that is trusted to say so. */
function isSecure({ request, headers }: Exchange, { config }: ServeDependencies): boolean {
  if ('encrypted' in request.socket) return true
  const scheme = headers?.['x-forwarded-proto']
  return scheme === 'https' && config.trustedProxies.includes(peerAddressOf(request.socket))
}

async function operate(
  context: RequestContext,
  { incoming }: Exchange,
  operations: ReadonlyMap<OperationName, Operation>,
): Promise<S3Response> {
  const operation = operations.get(context.operation)
  if (operation === undefined) throw notBuilt(context.operation)
  if (context.headers['x-amz-expected-bucket-owner'] !== undefined) await checkBucketOwner(context)
  try {
    return await operation.handle(context)
  } catch (error) {
    throw context.bodyFailure ?? incoming.failure ?? error
  }
}

/** Guards against a bucket that somebody else has made under the name meanwhile. */
async function checkBucketOwner(context: RequestContext): Promise<void> {
  const expected = context.headers['x-amz-expected-bucket-owner']
  if (expected === undefined || context.bucket === '' || context.operation === 'CreateBucket') return
  const { owner } = await context.client.getBucket(context.bucket, { signal: context.signal })
  requireOwner(expected, owner)
}

function mergeHeaders(wireHeaders: Record<string, string | undefined>, query: Query): RequestHeaders {
  if (!query.has('X-Amz-Signature')) return wireHeaders
  const headers: Record<string, string | undefined> = Object.assign(Object.create(null), wireHeaders)
  addPresignedHeaders(headers, query)
  return headers
}

/** The operation's name is wanted for the metrics, but who may not come in is not told what he named wrongly. */
function resolve(facts: {
  method: string
  target: RequestTarget
  query: Query
  headers: RequestHeaders
}): { name: OperationName } | { name: undefined; error: unknown } {
  const { method, target, query, headers } = facts
  const key = target.undecodable ? 'undecodable' : target.key
  try {
    return { name: resolveOperation({ method, bucket: target.bucket, key, query, headers }) }
  } catch (error) {
    return { name: undefined, error }
  }
}

/** What is no form at all is told so: nobody else sends a POST to a bucket without signing it. */
function refuse(error: unknown, anonymous: boolean): unknown {
  if (error instanceof S3Error && error.code === 'PreconditionFailed') return error
  return anonymous ? new S3Error('AccessDenied') : error
}

function notBuilt(operation: OperationName): S3Error {
  return new S3Error('NotImplemented', `The operation ${operation} is not implemented.`, {
    elements: { Operation: operation },
  })
}

/** A key that is not UTF-8 cannot exist, and must not begin to. */
function undecodable(method: string): S3Error {
  if (method === 'GET' || method === 'HEAD') return new S3Error('NoSuchKey')
  return new S3Error('InvalidURI', 'Object keys must be UTF-8.')
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

function report(exchange: Exchange, error: S3Error, log: Log): void {
  const { requestId, bucket, operation } = exchange
  log.error({ err: error.cause ?? error, requestId, bucket, operation, code: error.code }, 'request failed')
}
