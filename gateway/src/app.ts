/** Builds the gateway from its dependencies: no environment, no fixed port. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CairnClient } from '@cairn/client'
import type { Clock, Random } from '@cairn/protocol'
import multipart from '@fastify/multipart'
import { type FastifyInstance, fastify } from 'fastify'
import { SigningKeys } from './authentication/signing-keys.js'
import type { GatewayConfig } from './config.js'
import { S3Error } from './errors.js'
import { Admission } from './http/admission.js'
import { AnswerBatch } from './http/answer-batch.js'
import { ConnectionCounts } from './http/connection-limits.js'
import { createDateHeader } from './http/dates.js'
import type { DirectListener, DirectRequest } from './http/direct-request.js'
import { errorDocument } from './http/error-response.js'
import type { FormPart } from './http/form.js'
import { Listeners } from './http/listeners.js'
import { createRequestIds, type RequestIds } from './http/request-ids.js'
import { findVirtualBucket } from './http/request-target.js'
import { createServe, type Serve, type ServeDependencies } from './http/serve.js'
import type { TlsIdentity } from './http/server.js'
import { Watchdog } from './http/watchdog.js'
import { WITHOUT_SCHEMAS } from './http/without-schemas.js'
import {
  ADDRESS_SHARE_MAX,
  CLOSE_MS,
  FORM_FIELDS_BYTES_MAX,
  FORM_FIELDS_MAX,
  FORM_PART_HEAD_BYTES_MAX,
  FORM_PART_HEADERS_MAX,
  GATEWAY_LIMITS,
  type GatewayLimits,
} from './limits.js'
import { REGISTRY } from './operations/registry.js'
import type { OperationName } from './operations/table.js'
import type { Operation } from './operations/types.js'
import type { CredentialStore, Log, RequestObserver } from './ports.js'

/** What a gateway stands on. */
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
  /** Overrides of GATEWAY_LIMITS. */
  readonly limits?: Partial<GatewayLimits>
  /** Adds routes below `/-/`: health, metrics. Everything else is S3's. */
  readonly registerOwnPaths?: (app: FastifyInstance) => void
  /** The port then speaks HTTPS only. */
  readonly tls?: TlsIdentity
}

/** Where a gateway listens; port 0 picks a free one. */
export interface ListenAddress {
  readonly host: string
  readonly port: number
  /** Plain HTTP beside HTTPS, with the same handler and the same limits. */
  readonly plainPort?: number | undefined
}

/** The ports that were given or found. */
export interface ListenPorts {
  readonly port: number
  readonly plainPort?: number
}

/** Requests under way, waiting for their turn, refused since the start, and open connections. */
export interface GatewayLoad {
  readonly running: number
  readonly waiting: number
  readonly refused: number
  readonly connections: number
}

/** An S3 endpoint and its other paths on the same port. */
export interface Gateway {
  readonly app: FastifyInstance
  /** Resolves once connections are taken. */
  listen(address: ListenAddress): Promise<ListenPorts>
  /** Another certificate for new connections. Throws, and keeps the old one, for what is no pair. */
  setTlsIdentity(identity: TlsIdentity): void
  /** What is being carried now. */
  load(): GatewayLoad
  /** Takes no more connections, lets running requests finish for at most 10 s, then cuts them. */
  close(): Promise<void>
}

const FORM_TYPE = /^multipart\/form-data\b/i

/** The parser's bounds; the file's own are those of the upload. Its types lack `headerSize`, which it reads. */
const FORM_LIMITS = {
  fieldSize: FORM_FIELDS_BYTES_MAX,
  fields: FORM_FIELDS_MAX,
  // The second is seen, and refused.
  files: 2,
  fileSize: Number.POSITIVE_INFINITY,
  headerPairs: FORM_PART_HEADERS_MAX,
  headerSize: FORM_PART_HEAD_BYTES_MAX,
}

/** Own paths begin with this on path-style hosts, which no bucket name can. */
const OWN_PREFIX = '/-/'
/** Stands for every form in Fastify's router, which must not see or judge a key; its part has a parser for them. */
const FORM_ROUTE = '/s3-form'

/** Reads no environment and opens no port: `listen` does. */
export function createGateway(options: GatewayOptions): Gateway {
  const { config, clock } = options
  const limits = { ...GATEWAY_LIMITS, ...options.limits }
  const admission = createAdmission(clock, limits)
  const requestIds = createRequestIds(options.random)
  const connections = new ConnectionCounts({ ...limits, trustedAddresses: config.trustedProxies })
  const listeners = new Listeners({ requestIds, connections, tls: options.tls })
  const watchdog = createWatchdog(clock, limits)
  let closing = false
  const serve = serveS3(options, { requestIds, isClosing: () => closing, admission, watchdog })
  const app = fastify({
    logger: false,
    return503OnClosing: false,
    exposeHeadRoutes: true,
    ...WITHOUT_SCHEMAS,
    rewriteUrl: (request) => (isOwnPath(request, config) ? (request.url ?? OWN_PREFIX) : FORM_ROUTE),
    frameworkErrors: (error, _request, reply) => {
      sendOwnError(reply.raw, error, requestIds)
    },
    // The listeners' own answer to these is the only one.
    clientErrorHandler: () => undefined,
    serverFactory: (handler) => listeners.open(splitRequests(handler as DirectListener, serve, config)),
  })
  routeOwnPaths(app, requestIds)
  routeForms(app, serve)
  options.registerOwnPaths?.(app)
  const close = async (): Promise<void> => {
    closing = true
    const cancel = clock.setTimer(CLOSE_MS, () => listeners.cut())
    const closed = Promise.all([app.close(), listeners.closePlain()])
    listeners.closeIdle()
    await closed
    watchdog.close()
    cancel()
  }

  return {
    app,
    close,
    load: () => ({ ...admission.counts, connections: connections.total }),
    setTlsIdentity: (identity) => listeners.setIdentity(identity),
    async listen({ host, port, plainPort }): Promise<ListenPorts> {
      await app.listen({ host, port })
      const found = { port: (app.server.address() as AddressInfo).port }
      if (plainPort === undefined) return found
      try {
        return { ...found, plainPort: await listeners.listenPlain(host, plainPort) }
      } catch (error) {
        await close()
        throw error
      }
    },
  }
}

function createAdmission(clock: Clock, limits: GatewayLimits): Admission {
  return new Admission(clock, {
    runningMax: limits.requestsRunningMax,
    runningPerSenderMax: Math.ceil(limits.requestsRunningMax * ADDRESS_SHARE_MAX),
    waitingMax: limits.requestsWaitingMax,
    waitingPerSenderMax: Math.ceil(limits.requestsWaitingMax * ADDRESS_SHARE_MAX),
    waitMsMax: limits.requestWaitMsMax,
  })
}

function createWatchdog(clock: Clock, { bytesPerSecondMin, rateWindowMs }: GatewayLimits): Watchdog {
  return new Watchdog(clock, { bytesPerSecondMin, windowMs: rateWindowMs, intervalMs: rateWindowMs / 6 })
}

/** S3 requests pass Fastify by, which would cost and judge them; it has Cairn's own paths, and forms. */
function splitRequests(fastifyHandler: DirectListener, serve: Serve, config: GatewayConfig): DirectListener {
  return (request, response) => {
    if (isForm(request) || isOwnPath(request, config)) fastifyHandler(request, response)
    else serve(request, response, request.url ?? '')
  }
}

function serveS3(
  options: GatewayOptions,
  running: Pick<ServeDependencies, 'requestIds' | 'isClosing' | 'admission' | 'watchdog'>,
): Serve {
  const { client, config, clock, log, credentials } = options
  return createServe({
    client,
    operations: options.operations ?? REGISTRY,
    config,
    clock,
    log,
    ...running,
    authentication: {
      region: config.region,
      domain: config.domain,
      publicEndpoints: config.publicEndpoints,
      trustedProxies: config.trustedProxies,
      credentials,
      keys: new SigningKeys(),
      signatureVersion2: config.compatibility.signatureVersion2,
    },
    batch: new AnswerBatch(clock),
    dateHeader: createDateHeader(),
    observe: options.observe ?? (() => undefined),
  })
}

function routeOwnPaths(app: FastifyInstance, requestIds: RequestIds): void {
  app.addHook('onRequest', (request, reply, next) => {
    const refused = request.raw.url === FORM_ROUTE ? undefined : refuseBody(request.raw)
    if (refused === undefined) return next()
    reply.raw.setHeader('Connection', 'close')
    return next(refused)
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

/** Forms go through the parser's own part of Fastify; the body is read only when the operation asks for it. */
function routeForms(app: FastifyInstance, serve: Serve): void {
  void app.register(async (forms) => {
    await forms.register(multipart, {
      throwFileSizeLimit: false,
      // Its name decides, as in S3: some clients give every field a file name.
      isPartAFile: (name, _type, fileName) =>
        name === undefined ? fileName !== undefined : name.toLowerCase() === 'file',
      limits: FORM_LIMITS,
    })
    forms.post(FORM_ROUTE, (request, reply) => {
      reply.hijack()
      const parts = (): AsyncIterator<FormPart> => request.parts()
      serve(request.raw as DirectRequest, reply.raw, request.originalUrl, parts)
    })
    // A type that is no media type: it has no boundary either.
    forms.setErrorHandler((_error, request, reply) => {
      reply.hijack()
      serve(request.raw as DirectRequest, reply.raw, request.originalUrl)
    })
  })
}

function isForm(request: IncomingMessage): boolean {
  return request.method === 'POST' && FORM_TYPE.test(request.headers['content-type'] ?? '')
}

function isOwnPath(request: IncomingMessage, config: GatewayConfig): boolean {
  if (request.url?.startsWith(OWN_PREFIX) !== true) return false
  return findVirtualBucket(request.headers.host ?? '', config.domain) === undefined
}

/**
 * Nothing below `/-/` takes a body: a stranger's would be waited for before anybody asks who he is. One whose end
 * can be read in two ways would have the next request begin elsewhere.
 */
function refuseBody({ headers }: IncomingMessage): S3Error | undefined {
  const encoding = headers['transfer-encoding']?.toLowerCase()
  if (encoding !== undefined && encoding !== 'chunked') return new S3Error('NotImplemented')
  if (encoding === undefined && /^0*$/.test(headers['content-length'] ?? '')) return undefined
  return new S3Error('BadRequest', 'Requests below /-/ have no body.')
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
