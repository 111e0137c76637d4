/** The ports of one gateway: HTTP, or HTTPS with HTTP beside it. They share handler, turns and limits. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ConnectionCounts } from './connection-limits.js'
import type { DirectListener } from './direct-request.js'
import type { RequestIds } from './request-ids.js'
import { RequestTurns } from './request-turns.js'
import {
  createHttpServer,
  createHttpsServer,
  type HttpServer,
  type HttpServerOptions,
  type HttpsServer,
  type TlsIdentity,
} from './server.js'

export interface ListenersOptions {
  readonly requestIds: RequestIds
  readonly connections: ConnectionCounts
  readonly tls: TlsIdentity | undefined
}

export class Listeners {
  readonly #requestIds: RequestIds
  readonly #connections: ConnectionCounts
  readonly #identity: TlsIdentity | undefined
  readonly #turns: RequestTurns = new RequestTurns()
  #options: HttpServerOptions | undefined
  #main: HttpServer | undefined
  #secure: HttpsServer | undefined
  #plain: HttpServer | undefined

  constructor(options: ListenersOptions) {
    this.#requestIds = options.requestIds
    this.#connections = options.connections
    this.#identity = options.tls
  }

  /** The server of the main port, which its owner lets listen and closes. */
  open(handler: DirectListener): Server {
    const options = {
      handler,
      requestIds: this.#requestIds,
      turns: this.#turns,
      connections: this.#connections,
    }
    this.#options = options
    if (this.#identity !== undefined) this.#secure = createHttpsServer(options, this.#identity)
    this.#main = this.#secure ?? createHttpServer(options)
    return this.#main.server
  }

  /** Throws for what is no pair of certificate and key; the one before stays. */
  setIdentity(identity: TlsIdentity): void {
    this.#secure?.setIdentity(identity)
  }

  /** Opens plain HTTP beside the main port; the port that was given or found. */
  async listenPlain(host: string, port: number): Promise<number> {
    if (this.#options === undefined) throw new Error('the main port comes first')
    const { server, closeIdle } = createHttpServer(this.#options)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, () => {
        server.off('error', reject)
        resolve()
      })
    })
    this.#plain = { server, closeIdle }
    return (server.address() as AddressInfo).port
  }

  /** Takes no more connections on the plain port; resolves when its last has ended. */
  async closePlain(): Promise<void> {
    const plain = this.#plain
    if (plain === undefined) return
    await new Promise<void>((resolve) => {
      plain.server.close(() => resolve())
    })
  }

  closeIdle(): void {
    this.#main?.closeIdle()
    this.#plain?.closeIdle()
  }

  /** Ends every connection, whatever it carries. */
  cut(): void {
    this.#main?.server.closeAllConnections()
    this.#plain?.server.closeAllConnections()
  }
}
