/** What a request asks for, whether its sender may, and the answer of the operation that does it. */
import {
  type Authentication,
  type AuthenticationSettings,
  authenticateNow,
} from '../authentication/authenticate.js'
import { authorize } from '../authentication/authorize.js'
import { requireOwner } from '../authentication/principal.js'
import type { GatewayConfig } from '../config.js'
import { S3Error } from '../errors.js'
import type { OperationName } from '../operations/table.js'
import type { Operation, RequestHeaders, S3Response } from '../operations/types.js'
import { type Admission, MANY } from './admission.js'
import { answerPreflight } from './cors.js'
import type { Exchange } from './exchange.js'
import { openFormRequest } from './form-request.js'
import { networkOf } from './peer-address.js'
import { parseQuery, type Query } from './query.js'
import { RequestContext } from './request-context.js'
import { checkHeaders, withPresignedHeaders } from './request-headers.js'
import { parseRequestTarget, type RequestTarget } from './request-target.js'
import { resolveOperation } from './resolve-operation.js'
import type { SendDependencies } from './send-answer.js'

export interface AnswerDependencies extends SendDependencies {
  /** What is built; everything else in the table answers 501. */
  readonly operations: ReadonlyMap<OperationName, Operation>
  readonly config: GatewayConfig
  readonly authentication: AuthenticationSettings
  readonly admission: Admission
}

/** Methods that any operation has; the rest is refused before anything is looked at. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS'])

/** The answer itself where nothing has to be waited for. Throws or rejects with what is told as an error. */
export function answerRequest(
  exchange: Exchange,
  dependencies: AnswerDependencies,
): S3Response | Promise<S3Response> {
  const { request } = exchange
  const method = request.method ?? ''
  const wireHeaders = checkHeaders(request.joined)
  exchange.headers = wireHeaders
  if (request.httpVersionMajor !== 1) throw new S3Error('BadRequest', 'HTTP 1.0 or 1.1 is required.')
  if (!METHODS.has(method)) throw new S3Error('MethodNotAllowed', undefined, { elements: { Method: method } })
  const { config } = dependencies
  const target = parseRequestTarget(exchange.rawTarget, wireHeaders.host ?? '', config.domain)
  exchange.bucket = target.bucket
  const query = parseQuery(target.rawQuery)
  const headers = withPresignedHeaders(wireHeaders, query)
  const resolved = resolve({ method, target, query, headers })
  if (resolved.name !== undefined) exchange.operation = resolved.name
  // These prove who sends them in their body, or need no proof: the signature of a header says nothing.
  switch (resolved.name) {
    case 'PreflightRequest':
      return answerPreflight(
        { bucket: target.bucket, key: target.undecodable ? 'undecodable' : target.key, headers: wireHeaders },
        dependencies,
      )
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
    remoteAddress: exchange.address,
  }
  const asked = { method, target, query, headers, resolved }
  const authenticated = authenticateNow(raw, dependencies.authentication, exchange.nowMs)
  return authenticated instanceof Promise
    ? authenticated.then((known) => answerAuthenticated(exchange, asked, known, dependencies))
    : answerAuthenticated(exchange, asked, authenticated, dependencies)
}

/** What a request asks for, as far as its head says. */
interface Asked {
  readonly method: string
  readonly target: RequestTarget
  readonly query: Query
  readonly headers: RequestHeaders
  readonly resolved: Resolved
}

function answerAuthenticated(
  exchange: Exchange,
  { method, target, query, headers, resolved }: Asked,
  authentication: Authentication,
  dependencies: AnswerDependencies,
): S3Response | Promise<S3Response> {
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
    config: dependencies.config,
    log: dependencies.log,
    nowMs: exchange.nowMs,
    body: exchange.incoming,
    response: exchange.response,
    secureTransport: isSecure(exchange, dependencies),
    clock: dependencies.clock,
  })
  const turn = takeTurn(exchange, dependencies)
  if (turn !== undefined) return turn.then(() => operate(context, exchange, dependencies.operations))
  return operate(context, exchange, dependencies.operations)
}

/** The turn of a request whose sender is known; `undefined` if it has it at once. */
function takeTurn(exchange: Exchange, { admission, config }: AnswerDependencies): Promise<void> | undefined {
  const { address } = exchange
  const sender = config.trustedProxies.includes(address) ? MANY : networkOf(address)
  const admitted = (): void => {
    exchange.admitted = sender
  }
  const turn = admission.enter(sender)
  if (turn !== undefined) return turn.then(admitted)
  admitted()
  return undefined
}

/** An upload by form. The parser is kept off the connection from the moment on that the answer is known. */
async function serveForm(
  exchange: Exchange,
  { query, headers }: { query: Query; headers: RequestHeaders },
  dependencies: AnswerDependencies,
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
function isSecure({ request, headers, address }: Exchange, { config }: AnswerDependencies): boolean {
  if ('encrypted' in request.socket) return true
  const scheme = headers?.['x-forwarded-proto']
  return scheme === 'https' && config.trustedProxies.includes(address)
}

function operate(
  context: RequestContext,
  exchange: Exchange,
  operations: ReadonlyMap<OperationName, Operation>,
): S3Response | Promise<S3Response> {
  const operation = operations.get(context.operation)
  if (operation === undefined) throw notBuilt(context.operation)
  exchange.context = context
  if (context.headers['x-amz-expected-bucket-owner'] === undefined) return operation.handle(context)
  return checkBucketOwner(context).then(() => operation.handle(context))
}

/** Guards against a bucket that somebody else has made under the name meanwhile. */
async function checkBucketOwner(context: RequestContext): Promise<void> {
  const expected = context.headers['x-amz-expected-bucket-owner']
  if (expected === undefined || context.bucket === '' || context.operation === 'CreateBucket') return
  const { owner } = await context.client.getBucket(context.bucket, { signal: context.signal })
  requireOwner(expected, owner)
}

type Resolved = { readonly name: OperationName } | { readonly name: undefined; readonly error: unknown }

/** The operation's name is wanted for the metrics, but who may not come in is not told what he named wrongly. */
function resolve(facts: {
  method: string
  target: RequestTarget
  query: Query
  headers: RequestHeaders
}): Resolved {
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
