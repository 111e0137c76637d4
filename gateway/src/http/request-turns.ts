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
  /** Answer to the request that came last, until it is over. */
  last: ServerResponse | undefined
  /** What comes behind the last request is none. */
  isEnding: boolean
  /** Requests that wait for the answers before them; made for the first. */
  waiting: (() => void)[] | undefined
}

export class RequestTurns {
  readonly #connections = new Map<Duplex, Turns>()

  open(socket: Duplex): void {
    this.#connections.set(socket, { busy: false, last: undefined, isEnding: false, waiting: undefined })
    socket.once('close', () => this.#connections.delete(socket))
  }

  /** Begins the request now, or after those before it; never if one of them ends the connection. */
  take(socket: Duplex, response: ServerResponse, begin: () => void): void {
    const turns = this.#connections.get(socket)
    // The parser may still be within the packet whose first request has ended the connection.
    if (turns === undefined || !socket.writable) return
    turns.last = response
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

  /**
   * What comes now is no request. `end` is to say so, once those before it are answered; only the first time. False if
   * the last of them is not whole: then this is a part of its body, and nothing can be said.
   */
  endAfter(socket: Duplex, end: () => void): boolean {
    const turns = this.#connections.get(socket)
    if (turns?.last?.req.complete !== true) return false
    if (turns.isEnding) return true
    turns.isEnding = true
    turns.waiting ??= []
    turns.waiting.push(end)
    return true
  }

  /** Closes the connections that carry no request now. */
  closeIdle(): void {
    for (const [socket, { busy }] of this.#connections) if (!busy) socket.destroy()
  }
}

/** An answer is over. If it was the last of its connection, Node has ended the socket's writable side by now. */
function next(socket: Duplex, turns: Turns): void {
  turns.busy = false
  const following = socket.writable ? turns.waiting?.shift() : undefined
  // A connection that is idle keeps nothing of its last request.
  if (following === undefined) turns.last = undefined
  else following()
}
