import { IncomingMessage, type RequestListener } from 'node:http'
import { type JoinedHeaders, joinHeaders } from './request-headers.js'

/** Takes the requests of a server that makes them so. */
export type DirectListener = RequestListener<typeof DirectRequest>

/**
 * A request whose body can be taken from Node's parser as it comes. Its way through a stream costs five turns of the
 * tick queue, for a buffer that is empty at the end and for events that nobody waits for.
 */
export class DirectRequest extends IncomingMessage {
  #taker: ((bytes: Uint8Array) => void) | undefined
  #isBuffered = false
  #isOver = false
  #joined: JoinedHeaders | undefined

  static {
    // TypeScript takes both for properties. Node's own map drops what is repeated, and costs as much again.
    Object.defineProperty(DirectRequest.prototype, 'headers', {
      configurable: true,
      get(this: DirectRequest) {
        return this.joined.headers
      },
    })
    // All of the body has come, and nothing of it stands in the stream. Node's parser holds the request until then.
    Object.defineProperty(DirectRequest.prototype, 'readableEnded', {
      configurable: true,
      get(this: DirectRequest) {
        return this.#isOver || Reflect.get(IncomingMessage.prototype, 'readableEnded', this) === true
      },
    })
  }

  /** The headers as S3 reads them; `headers` is their map. */
  get joined(): JoinedHeaders {
    this.#joined ??= joinHeaders(this.rawHeaders)
    return this.#joined
  }

  /** All of the body goes to `onBytes`, as fast as it comes; there is no `end` then, but `complete`, and `close`. */
  takeBody(onBytes: (bytes: Uint8Array) => void): void {
    // What came while the request waited for its turn stands in the stream.
    if (this.#isBuffered) this.on('data', onBytes)
    else this.#taker = onBytes
  }

  /** What comes from now on is read as from any stream. */
  giveBack(): void {
    this.#taker = undefined
  }

  /** The parser's way to tell of a piece of the body, or of its end. */
  override push(bytes: Uint8Array | null, encoding?: BufferEncoding): boolean {
    if (this.#taker === undefined) {
      this.#isBuffered = true
      return super.push(bytes, encoding)
    }
    if (bytes !== null) {
      this.#taker(bytes)
      return true
    }
    this.#isOver = true
    this.#taker = undefined
    return false
  }

  /** Nothing is left in the stream of a body that was taken. */
  override resume(): this {
    return this.#isOver ? this : super.resume()
  }
}
