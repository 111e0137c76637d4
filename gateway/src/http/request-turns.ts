/**
 * One request at a time on each connection. Node hands out pipelined requests while the one before is still being
 * answered. But after an answer that closes the connection nothing more may be done, least of all when the head
 * before could be read in two ways; and a write must be over before what follows it begins.
 */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { PIPELINED_REQUESTS_MAX } from '../limits.js'

interface Turns {
  busy: boolean
  /** Requests that wait for the answers before them; made for the first. */
  waiting: (() => void)[] | undefined
}

export class RequestTurns {
  readonly #connections = new Map<Duplex, Turns>()

  open(socket: Duplex): void {
    this.#connections.set(socket, { busy: false, waiting: undefined })
    socket.once('close', () => this.#connections.delete(socket))
  }

  /** Begins the request now, or after those before it; never if one of them ends the connection. */
  take(socket: Duplex, response: ServerResponse, begin: () => void): void {
    const turns = this.#connections.get(socket)
    // The parser may still be within the packet whose first request has ended the connection.
    if (turns === undefined || !socket.writable) return
    const start = (): void => {
      turns.busy = true
      // It comes once by itself; a listener that is taken off again costs more.
      response.on('close', () => next(socket, turns))
      begin()
    }
    if (!turns.busy) {
      start()
      return
    }
    turns.waiting ??= []
    if (turns.waiting.length < PIPELINED_REQUESTS_MAX) turns.waiting.push(start)
    else socket.destroy()
  }

  /** Whether the connection is open for requests. */
  has(socket: Duplex): boolean {
    return this.#connections.has(socket)
  }

  /** Whether a request of the connection is being answered. */
  isBusy(socket: Duplex): boolean {
    return this.#connections.get(socket)?.busy === true
  }

  /** Closes the connections that carry no request now. */
  closeIdle(): void {
    for (const [socket, { busy }] of this.#connections) if (!busy) socket.destroy()
  }
}

/** An answer is over. If it was the last of its connection, Node has ended the socket's writable side by now. */
function next(socket: Duplex, turns: Turns): void {
  turns.busy = false
  if (socket.writable) turns.waiting?.shift()?.()
}
