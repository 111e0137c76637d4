import type { IncomingMessage, ServerResponse } from 'node:http'
import { S3Error } from '../errors.js'
import type { IncomingBody } from './incoming-body.js'
import type { Transfer, Watch } from './watchdog.js'

/** A request and its answer as the watchdog sees them: which side owes bytes, and how many have moved. */
export class ExchangeTransfer implements Transfer {
  place = -1
  watch: Watch | undefined
  readonly #response: ServerResponse<IncomingMessage>
  readonly #incoming: IncomingBody

  constructor({ response, incoming }: { response: ServerResponse; incoming: IncomingBody }) {
    this.#response = response
    this.#incoming = incoming
  }

  owedProgress(): number | undefined {
    if (this.#incoming.isStarved) return this.#incoming.receivedBytes
    const { socket, writableNeedDrain } = this.#response
    if (!writableNeedDrain || socket === null) return undefined
    return socket.bytesWritten - socket.writableLength
  }

  expire(): void {
    if (this.#incoming.isStarved) this.#incoming.expire(new S3Error('RequestTimeout'))
    else this.#response.destroy()
  }
}
