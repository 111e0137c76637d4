/** Builds the gateway from its dependencies: no environment, no fixed port. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CairnClient } from '@cairn/client'
import type { Clock, Random } from '@cairn/protocol'
import { type FastifyInstance, fastify } from 'fastify'
import { SigningKeys } from './authentication/signing-keys.js'
import type { GatewayConfig } from './config.js'
import { S3Error } from './errors.js'
import { createDateHeader } from './http/dates.js'
import { errorDocument } from './http/error-response.js'
import { createRequestIds, type RequestIds } from './http/request-ids.js'
import { findVirtualBucket } from './http/request-target.js'
import { createServe } from './http/serve.js'
import { createHttpServer, type HttpServer } from './http/server.js'
import { CLOSE_MS } from './limits.js'
import { REGISTRY } from './operations/registry.js'
import type { OperationName } from './operations/table.js'
import type { Operation } from './operations/types.js'
import type { CredentialStore, Log, RequestObserver } from './ports.js'

export interface GatewayOptions {
  readonly client: CairnClient
  readonly config: GatewayConfig
  readonly credentials: CredentialStore
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** All that are built, unless given. */
  readonly operations?: ReadonlyMap<OperationName, Operation>
  /** Told about every finished S3 request. */
  readonly observe?: RequestObserver
  /** Adds routes below `/-/`: health, metrics. Everything else is S3's. */
  readonly registerOwnPaths?: (app: FastifyInstance) => void
}

export interface Gateway {
  readonly app: FastifyInstance
  /** Resolves once connections are taken; with the port that was given or found. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ readonly port: number }>
  /** Takes no more connections, lets running requests finish for at most 10 s, then cuts them. */
  close(): Promise<void>
}

/** Own paths begin with this on path-style hosts, which no bucket name can. */
const OWN_PREFIX = '/-/'
/** Stands for every S3 request in Fastify's router, which must not see or judge a key. */
const S3_ROUTE = '/s3'

export function createGateway(options: GatewayOptions): Gateway {
  const { config, clock } = options
  const requestIds = createRequestIds(options.random)
  let http: HttpServer | undefined
  let closing = false
  const app = fastify({
    logger: false,
    return503OnClosing: false,
    exposeHeadRoutes: true,
    rewriteUrl: (request) => (isOwnPath(request, config) ? (request.url ?? S3_ROUTE) : S3_ROUTE),
    frameworkErrors: (error, _request, reply) => {
      sendOwnError(reply.raw, error, requestIds)
    },
    serverFactory: (handler) => {
      http = createHttpServer(handler as RequestListener, requestIds)
      return http.server
    },
  })
  routeS3(app, options, { requestIds, isClosing: () => closing })
  options.registerOwnPaths?.(app)

  return {
    app,
    async listen({ host, port }): Promise<{ readonly port: number }> {
      await app.listen({ host, port })
      return { port: (app.server.address() as AddressInfo).port }
    },
    async close(): Promise<void> {
      closing = true
      const cancel = clock.setTimer(CLOSE_MS, () => http?.server.closeAllConnections())
      const closed = app.close()
      http?.closeIdle()
      await closed
      cancel()
    },
  }
}

/** S3 requests leave Fastify at its first hook: before it parses a body, judges a type or answers in JSON. */
function routeS3(
  app: FastifyInstance,
  options: GatewayOptions,
  { requestIds, isClosing }: { requestIds: RequestIds; isClosing: () => boolean },
): void {
  const { client, config, clock, log, credentials } = options
  const serve = createServe({
    client,
    operations: options.operations ?? REGISTRY,
    config,
    clock,
    log,
    requestIds,
    isClosing,
    authentication: {
      region: config.region,
      domain: config.domain,
      publicEndpoints: config.publicEndpoints,
      trustedProxies: config.trustedProxies,
      credentials,
      keys: new SigningKeys(),
    },
    dateHeader: createDateHeader(),
    observe: options.observe ?? (() => undefined),
  })
  app.addHook('onRequest', (request, reply, next) => {
    if (request.raw.url !== S3_ROUTE) {
      // Read in two ways, the end of the body has the next request begin elsewhere: refused here as everywhere.
      const encoding = request.headers['transfer-encoding'] ?? 'chunked'
      if (encoding.toLowerCase() === 'chunked') return next()
      reply.raw.setHeader('Connection', 'close')
      return next(new S3Error('NotImplemented'))
    }
    reply.hijack()
    void serve(request.raw, reply.raw, request.originalUrl)
  })
  app.setErrorHandler((error, _request, reply) => {
    reply.hijack()
    sendOwnError(reply.raw, error, requestIds)
  })
  app.setNotFoundHandler((_request, reply) => {
    reply.hijack()
    sendOwnError(reply.raw, new S3Error('NoSuchKey', 'There is nothing at this path.'), requestIds)
  })
}

function isOwnPath(request: IncomingMessage, config: GatewayConfig): boolean {
  if (request.url?.startsWith(OWN_PREFIX) !== true) return false
  return findVirtualBucket(request.headers.host ?? '', config.domain) === undefined
}

/** Errors below `/-/` that no handler answered. */
function sendOwnError(response: ServerResponse, thrown: unknown, requestIds: RequestIds): void {
  const error = thrown instanceof S3Error ? thrown : ownError(thrown)
  const requestId = requestIds.next()
  const body = errorDocument(error, { resource: OWN_PREFIX, requestId, hostId: requestIds.hostId })
  response.writeHead(error.status, {
    'Content-Type': 'application/xml',
    'Content-Length': Buffer.byteLength(body),
    'x-amz-request-id': requestId,
  })
  response.end(body)
}

function ownError(thrown: unknown): S3Error {
  const status = thrown instanceof Error && 'statusCode' in thrown ? thrown.statusCode : undefined
  const client = typeof status === 'number' && status >= 400 && status < 500
  return new S3Error(client ? 'BadRequest' : 'InternalError', undefined, { cause: thrown })
}
