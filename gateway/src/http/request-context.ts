import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { CairnClient } from '@cairn/client'
import type { Clock } from '@cairn/protocol'
import type { Authentication } from '../authentication/authenticate.js'
import type { Principal } from '../authentication/principal.js'
import type { GatewayConfig } from '../config.js'
import type { OperationName } from '../operations/table.js'
import type { OpenBodyOptions, OperationContext, RequestBody, RequestHeaders } from '../operations/types.js'
import { malformedChecksumCode } from '../payload/checksum.js'
import { openRequestBody } from '../payload/request-body.js'
import type { Log } from '../ports.js'
import type { Query } from './query.js'
import { isPresigned } from './request-headers.js'

/** Everything a context is made of. */
export interface ContextParts {
  readonly operation: OperationName
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly query: Query
  readonly headers: RequestHeaders
  readonly requestId: string
  readonly authentication: Authentication
  readonly client: CairnClient
  readonly config: GatewayConfig
  readonly log: Log
  readonly nowMs: number
  /** As it comes from the connection, or out of a form. */
  readonly body: AsyncIterable<Uint8Array>
  readonly response: ServerResponse
  /** Whether nobody between the client and us could read the request. */
  readonly secureTransport: boolean
  readonly clock: Clock
}

/** One request as its operation sees it. The abort signal is that of its connection. */
export class RequestContext implements OperationContext {
  readonly operation: OperationName
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly query: Query
  readonly headers: RequestHeaders
  readonly requestId: string
  readonly principal: Principal
  readonly client: CairnClient
  readonly config: GatewayConfig
  readonly log: Log
  readonly nowMs: number
  readonly secureTransport: boolean
  readonly clock: Clock
  readonly #parts: ContextParts
  #bodyFailure: unknown

  constructor(parts: ContextParts) {
    this.operation = parts.operation
    this.method = parts.method
    this.bucket = parts.bucket
    this.key = parts.key
    this.query = parts.query
    this.headers = parts.headers
    this.requestId = parts.requestId
    this.principal = parts.authentication.principal
    this.client = parts.client
    this.config = parts.config
    this.log = parts.log
    this.nowMs = parts.nowMs
    this.secureTransport = parts.secureTransport
    this.clock = parts.clock
    this.#parts = parts
  }

  /** What the body or its seal was refused for, however the client library has wrapped it since. */
  get bodyFailure(): unknown {
    return this.#bodyFailure
  }

  get signal(): AbortSignal {
    return signalOf(this.#parts.response)
  }

  openBody(options?: OpenBodyOptions): RequestBody {
    const { authentication, headers, body: received, query, config } = this.#parts
    const opened = openRequestBody(
      {
        headers,
        bytes: received,
        payloadHash: authentication.payloadHash,
        signing: authentication.signing,
        presigned: isPresigned(query),
        // A form never tells the size of its file.
        strictChunkedPut: config.compatibility.strictChunkedPut && this.operation !== 'PostObject',
        strictPresignedChecksum: config.compatibility.strictPresignedChecksum,
        malformedChecksum: malformedChecksumCode(config.compatibility),
      },
      options,
    )
    const { seal } = opened
    if (opened.body !== received || this.operation === 'PostObject') {
      opened.body = this.#rememberFailure(opened.body)
    }
    opened.seal = (digests, sizeBytes) => {
      try {
        return seal(digests, sizeBytes)
      } catch (error) {
        this.#bodyFailure ??= error
        throw error
      }
    }
    return opened
  }

  async *#rememberFailure(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    try {
      yield* body
    } catch (error) {
      this.#bodyFailure ??= error
      throw error
    }
  }
}

/**
 * The end of a connection is the end of its only request under way (see `request-turns.ts`); after it there is none.
 * So one signal serves all requests of a connection: making one for each would cost more than reading a small object.
 */
const controllers = new WeakMap<Socket, AbortController>()

function signalOf(response: ServerResponse): AbortSignal {
  const { socket } = response
  if (socket === null || socket.destroyed) return AbortSignal.abort()
  const known = controllers.get(socket)
  if (known !== undefined) return known.signal
  const controller = new AbortController()
  controllers.set(socket, controller)
  socket.once('close', () => controller.abort())
  return controller.signal
}
