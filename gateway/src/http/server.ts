/**
 * The HTTP server under Fastify: its limits, and the answers to what Node's parser refuses before any request
 * exists. Those too are S3's XML. With a certificate it speaks HTTPS only.
 */
import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { S3Error, type S3ErrorCode } from '../errors.js'
import {
  HANDSHAKE_TIMEOUT_MS,
  HEADERS_MAX,
  HEADERS_TIMEOUT_MS,
  IDLE_SOCKET_MS,
  KEEP_ALIVE_MS,
  PARSER_HEADER_BYTES_MAX,
} from '../limits.js'
import type { ConnectionCounts } from './connection-limits.js'
import { type DirectListener, DirectRequest } from './direct-request.js'
import { errorDocument } from './error-response.js'
import { peerAddressOf } from './peer-address.js'
import type { RequestIds } from './request-ids.js'
import type { RequestTurns } from './request-turns.js'

/** Bytes queued on a socket before the writer waits. Node's 16 KiB would stall after every 64 KiB frame. */
const SOCKET_QUEUE_BYTES = 128 * 1024

/** Codes of Node's parser that are not simply a bad request. */
const CODES: Readonly<Record<string, S3ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'RequestHeaderSectionTooLarge',
  ERR_HTTP_REQUEST_TIMEOUT: 'RequestTimeout',
}

const OPTIONS = {
  IncomingMessage: DirectRequest,
  maxHeaderSize: PARSER_HEADER_BYTES_MAX,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_MS,
  connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
  highWaterMark: SOCKET_QUEUE_BYTES,
  noDelay: true,
  requireHostHeader: false,
} as const

/** A certificate chain and its private key, both as PEM. */
export interface TlsIdentity {
  readonly cert: string
  readonly key: string
}

export interface HttpServer {
  readonly server: Server
  /** Closes the connections that carry no request now, fresh ones included, which Node does not count as idle. */
  closeIdle(): void
}

export interface HttpsServer extends HttpServer {
  /** For new connections; those that are open go on. Throws for what is no pair, and keeps the old one then. */
  setIdentity(identity: TlsIdentity): void
}

export interface HttpServerOptions {
  readonly handler: DirectListener
  readonly requestIds: RequestIds
  /** Shared by all listeners of one gateway. */
  readonly turns: RequestTurns
  /** Shared too: the limits are those of the gateway. */
  readonly connections: ConnectionCounts
}

/** A listener of plain HTTP. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { turns } = options
  const server = createServer(OPTIONS)
  server.on('connection', (socket) => {
    if (isCounted(socket, options.connections)) turns.open(socket)
    else refuse(socket, new S3Error('SlowDown', 'There are too many connections.'), options.requestIds)
  })
  addHandlers(server, options)
  return { server, closeIdle: () => turns.closeIdle() }
}

/** A listener of HTTPS. A request in plain HTTP is told so and cut off. */
export function createHttpsServer(options: HttpServerOptions, identity: TlsIdentity): HttpsServer {
  const { turns } = options
  const server: SecureServer = createSecureServer({ ...OPTIONS, ...tlsOptions(identity) })
  const shaking = new Map<string, Socket>()
  server.on('connection', (socket: Socket) => {
    if (!isCounted(socket, options.connections)) {
      socket.destroy()
      return
    }
    const name = peerOf(socket)
    shaking.set(name, socket)
    socket.once('close', () => shaking.delete(name))
  })
  server.on('secureConnection', (socket) => {
    shaking.delete(peerOf(socket))
    turns.open(socket)
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const plain = error.code === 'ERR_SSL_HTTP_REQUEST' ? shaking.get(peerOf(socket)) : undefined
    if (plain !== undefined) {
      refuse(plain, new S3Error('BadRequest', 'This port speaks HTTPS only.'), options.requestIds)
    }
  })
  addHandlers(server, options)
  return {
    server,
    closeIdle(): void {
      for (const socket of shaking.values()) socket.destroy()
      turns.closeIdle()
    },
    setIdentity: (next) => server.setSecureContext(tlsOptions(next)),
  }
}

/** Counts a connection until it closes; false if there are too many. */
function isCounted(socket: Socket, connections: ConnectionCounts): boolean {
  const address = peerAddressOf(socket)
  if (!connections.admit(address)) return false
  socket.once('close', () => connections.release(address))
  return true
}

function tlsOptions(identity: TlsIdentity): TlsIdentity & {
  readonly minVersion: 'TLSv1.2'
  readonly handshakeTimeout: number
} {
  return { ...identity, minVersion: 'TLSv1.2', handshakeTimeout: HANDSHAKE_TIMEOUT_MS }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

function addHandlers(server: Server, { handler, requestIds, turns }: HttpServerOptions): void {
  server.maxHeadersCount = HEADERS_MAX + 10
  server.timeout = IDLE_SOCKET_MS
  const take: DirectListener = (request, response) => {
    turns.take(request.socket, response, () => handler(request, response))
  }
  server.on('request', take)
  server.on('checkContinue', take)
  server.on('checkExpectation', take)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // Before the end of a handshake nothing can be said.
    if (!turns.has(socket)) {
      socket.destroy()
      return
    }
    const answer = new S3Error(CODES[error.code ?? ''] ?? 'BadRequest')
    const isBusy = turns.isBusy(socket)
    if (isBusy && socket.writable && turns.endAfter(socket, () => refuse(socket, answer, requestIds))) return
    // Within another answer, anything written would pass for a part of it.
    refuse(socket, isBusy ? undefined : answer, requestIds)
  })
  server.on('connect', (_request, socket: Duplex) => {
    refuse(socket, turns.isBusy(socket) ? undefined : new S3Error('MethodNotAllowed'), requestIds)
  })
}

function refuse(socket: Duplex, error: S3Error | undefined, requestIds: RequestIds): void {
  if (error === undefined || !socket.writable) {
    socket.destroy()
    return
  }
  const requestId = requestIds.next()
  const body = errorDocument(error, { resource: '/', requestId, hostId: requestIds.hostId })
  socket.end(
    `HTTP/1.1 ${error.status} ${error.code}\r\nx-amz-request-id: ${requestId}\r\nx-amz-id-2: ${requestIds.hostId}\r\n` +
      `Content-Type: application/xml\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  )
}
