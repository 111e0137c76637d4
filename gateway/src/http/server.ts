/**
 * The HTTP server under Fastify: its limits, and the answers to what Node's parser refuses before any request
 * exists. Those too are S3's XML.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { S3Error, type S3ErrorCode } from '../errors.js'
import {
  HEADERS_MAX,
  HEADERS_TIMEOUT_MS,
  IDLE_SOCKET_MS,
  KEEP_ALIVE_MS,
  PARSER_HEADER_BYTES_MAX,
} from '../limits.js'
import { errorDocument } from './error-response.js'
import type { RequestIds } from './request-ids.js'
import { RequestTurns } from './request-turns.js'

/** Bytes queued on a socket before the writer waits. Node's 16 KiB would stall after every 64 KiB frame. */
const SOCKET_QUEUE_BYTES = 128 * 1024

/** Codes of Node's parser that are not simply a bad request. */
const CODES: Readonly<Record<string, S3ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'RequestHeaderSectionTooLarge',
  ERR_HTTP_REQUEST_TIMEOUT: 'RequestTimeout',
}

export interface HttpServer {
  readonly server: Server
  /** Closes the connections that carry no request now, fresh ones included, which Node does not count as idle. */
  closeIdle(): void
}

export function createHttpServer(handler: RequestListener, requestIds: RequestIds): HttpServer {
  const turns = new RequestTurns()
  const server = createServer({
    maxHeaderSize: PARSER_HEADER_BYTES_MAX,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
    highWaterMark: SOCKET_QUEUE_BYTES,
    noDelay: true,
    requireHostHeader: false,
  })
  server.maxHeadersCount = HEADERS_MAX + 10
  server.timeout = IDLE_SOCKET_MS
  server.on('connection', (socket) => turns.open(socket))
  const take: RequestListener = (request, response) => {
    turns.take(request.socket, response, () => handler(request, response))
  }
  server.on('request', take)
  server.on('checkContinue', take)
  server.on('checkExpectation', take)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const code = CODES[error.code ?? ''] ?? 'BadRequest'
    // Within another answer, anything written would pass for a part of it.
    refuse(socket, turns.isBusy(socket) ? undefined : new S3Error(code), requestIds)
  })
  server.on('connect', (_request, socket: Duplex) => {
    refuse(socket, new S3Error('MethodNotAllowed'), requestIds)
  })
  return {
    server,
    closeIdle(): void {
      turns.closeIdle()
    },
  }
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
