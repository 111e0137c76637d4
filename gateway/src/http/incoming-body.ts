/**
 * The body of a request as it comes from the connection, pulled by whoever reads it: the socket is paused while
 * enough is queued. Leaving the loop early does not destroy the connection, so that an error can be answered.
 */
import type { ServerResponse } from 'node:http'
import type { ReleasableBody } from '@cairn/client'
import { CairnError, freeMemory } from '@cairn/protocol'
import { BODY_QUEUE_BYTES_MAX } from '../limits.js'
import type { DirectRequest } from './direct-request.js'

interface Waiting {
  resolve(result: IteratorResult<Uint8Array, undefined>): void
  reject(error: unknown): void
}

export interface IncomingBodyOptions {
  /** The client waits for `100 Continue`. */
  readonly expectsContinue: boolean
  /** The head of the request says that there is no body. */
  readonly isEmpty: boolean
}

export class IncomingBody implements ReleasableBody {
  readonly #request: DirectRequest
  readonly #response: ServerResponse
  readonly #expectsContinue: boolean
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #receivedBytes = 0
  #started = false
  #ended = false
  #left = false
  #handedOver = false
  #awaitsPart = false
  #failure: Error | undefined
  #waiting: Waiting | undefined

  constructor(request: DirectRequest, response: ServerResponse, options: IncomingBodyOptions) {
    this.#request = request
    this.#response = response
    this.#expectsContinue = options.expectsContinue
    this.#ended = options.isEmpty
    if (options.isEmpty) request.takeBody(() => undefined)
  }

  /** As received, framing of aws-chunked included. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** Why there will be no more bytes. */
  get failure(): Error | undefined {
    return this.#failure
  }

  get started(): boolean {
    return this.#started
  }

  /** The client holds the body back until it is asked for it, and was not asked. */
  get heldBack(): boolean {
    return this.#expectsContinue && !this.#started
  }

  /** Bytes are wanted now, and the client has not sent them. */
  get isStarved(): boolean {
    if (!this.#started || this.#ended) return false
    return this.#awaitsPart || (!this.#request.complete && !this.#request.isPaused())
  }

  /** Gives the body up, as if the client had gone but with an error that it may still be told. */
  expire(error: Error): void {
    if (this.#handedOver) this.#request.destroy(error)
    else this.#settle(error)
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    this.#start()
    return {
      next: () => this.#next(),
      return: async () => {
        this.#left = true
        this.#request.pause()
        return { done: true, value: undefined }
      },
    }
  }

  /** See `ReleasableBody`. The parser has counted the bytes: behind these there are no more. */
  whole(sizeBytes: number): Promise<Uint8Array> {
    this.#begin()
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    // Errors are told by the end of the connection too. Made here, the listener does not hold the bytes.
    this.#request.on('close', () => this.#fail(undefined))
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve: () => reject(cutOff(undefined)), reject }
      const chunks: Uint8Array[] = []
      this.#request.takeBody((bytes) => {
        this.#receivedBytes += bytes.length
        if (this.#ended || this.#failure !== undefined) return
        chunks.push(bytes)
        if (this.#receivedBytes < sizeBytes) return
        this.#ended = true
        this.#waiting = undefined
        resolve(chunks.length === 1 ? bytes : Buffer.concat(chunks))
      })
    })
  }

  /**
   * A parser of its own reads the request itself: here the bytes are only counted, and asked for where the client
   * waits for that. The parser must begin in the same turn. Calls back with the number of all bytes so far.
   */
  handOver(onReceived: (receivedBytes: number) => void): void {
    this.#begin()
    this.#handedOver = true
    this.#request.on('data', (bytes: Uint8Array) => {
      this.#receivedBytes += bytes.length
      onReceived(this.#receivedBytes)
    })
  }

  /**
   * A part of the form is waited for, or no longer. This is the client's to give even while the parser keeps the
   * request stopped: the one we use never goes on after some parts that it skips.
   */
  awaitPart(awaited: boolean): void {
    this.#awaitsPart = awaited
  }

  /** A parser of its own has read some of it, and is off again when the answer is written. */
  get handedOver(): boolean {
    return this.#handedOver
  }

  /** The parser is done with the request, or no longer wanted: what is left waits for whoever reads it next. */
  takeBack(): void {
    if (this.#handedOver) this.#request.unpipe()
  }

  /** Node's parser made the chunk for this body alone. */
  release(chunk: Uint8Array): void {
    freeMemory(chunk)
  }

  /** Reads and forgets the rest. Calls back for everything received and at the end. */
  discard(onBytes: (sizeBytes: number) => void, onEnd: () => void): void {
    this.#started = true
    this.#queue.length = 0
    this.#request.giveBack()
    this.#request.removeAllListeners('data')
    if (this.#request.readableEnded || this.#request.destroyed) {
      onEnd()
      return
    }
    this.#request.on('data', (bytes: Uint8Array) => onBytes(bytes.length))
    this.#request.once('end', onEnd)
    this.#request.once('close', onEnd)
    this.#request.on('error', onEnd)
    this.#request.resume()
  }

  #begin(): void {
    if (this.#started) throw new CairnError('Internal', 'a request body can be read once only')
    if (this.#expectsContinue && !this.#response.headersSent) this.#response.writeContinue()
    this.#started = true
    // The client left while its request waited for a turn: there is no event to come.
    if (this.#request.destroyed) this.#fail(undefined)
  }

  #start(): void {
    this.#begin()
    if (this.#ended) return
    this.#request.on('data', (bytes: Uint8Array) => this.#take(bytes))
    this.#request.on('end', () => this.#end())
    this.#request.on('error', (cause) => this.#fail(cause))
    this.#request.on('close', () => this.#fail(undefined))
  }

  #take(bytes: Uint8Array): void {
    this.#receivedBytes += bytes.length
    if (this.#left) return
    const waiting = this.#waiting
    if (waiting !== undefined) {
      this.#waiting = undefined
      waiting.resolve({ done: false, value: bytes })
      return
    }
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length
    if (this.#queuedBytes >= BODY_QUEUE_BYTES_MAX) this.#request.pause()
  }

  #end(): void {
    this.#ended = true
    this.#waiting?.resolve({ done: true, value: undefined })
    this.#waiting = undefined
  }

  /** Every body is told of the end of its connection; most have ended by then, and an error is dear. */
  #fail(cause: unknown): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#settle(cutOff(cause))
  }

  #settle(failure: Error): void {
    if (this.#ended || this.#failure !== undefined) return
    this.#failure = failure
    this.#waiting?.reject(failure)
    this.#waiting = undefined
  }

  #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const bytes = this.#queue.shift()
    if (bytes !== undefined) {
      this.#queuedBytes -= bytes.length
      if (this.#queuedBytes < BODY_QUEUE_BYTES_MAX / 2 && this.#request.isPaused()) this.#request.resume()
      return Promise.resolve({ done: false, value: bytes })
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#ended) return Promise.resolve({ done: true, value: undefined })
    if (this.#request.isPaused()) this.#request.resume()
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }
}

function cutOff(cause: unknown): CairnError {
  return new CairnError('Cancelled', 'the client closed the connection within the body', { cause })
}
