/**
 * One keep-alive HTTP/1.1 connection that sends prepared bytes and reads whole answers: little CPU of its own, so
 * that both fit on one machine. Understands Content-Length, chunked answers, and answers without a body.
 */
import { connect, type Socket } from 'node:net'
import { crc32 } from 'node:zlib'

export interface Answer {
  readonly status: number
  readonly bodyBytes: number
  /** CRC-32 of the body as it came. */
  readonly crc32: number
  readonly head: string
  /** The body, if it was asked for. */
  readonly body?: Buffer
}

export interface PreparedRequest {
  readonly head: Buffer
  readonly body?: Buffer
  /** The answer has no body, whatever its length says. */
  readonly isHead?: boolean
}

export interface HttpConnection {
  /** Sends one request; the next only after this has resolved. */
  send(request: PreparedRequest, keepBody?: boolean): Promise<Answer>
  close(): void
}

/** Connects to `http://host:port`. */
export async function openConnection(endpoint: string): Promise<HttpConnection> {
  const { hostname, port } = new URL(endpoint)
  const socket = connect({ host: hostname, port: Number(port || 80), noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return new Connection(socket)
}

interface Pending {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly keepBody: boolean
  readonly isHead: boolean
}

const EMPTY: Buffer = Buffer.alloc(0)

class Connection implements HttpConnection {
  private readonly socket: Socket
  private pending: Pending | undefined
  private buffered: Buffer = EMPTY
  private head = ''
  /** Bytes of the body, or of the chunk, still to come; `undefined` before the head or a chunk's line. */
  private remaining: number | undefined
  private isChunked = false
  private bodyBytes = 0
  private crc = 0
  private kept: Buffer[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => this.take(bytes))
    socket.on('error', (error) => this.fail(error))
    socket.on('close', () => this.fail(new Error('the server closed the connection')))
  }

  send(request: PreparedRequest, keepBody = false): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.pending = { resolve, reject, keepBody, isHead: request.isHead ?? false }
      this.socket.cork()
      this.socket.write(request.head)
      if (request.body !== undefined) this.socket.write(request.body)
      this.socket.uncork()
    })
  }

  close(): void {
    this.socket.destroy()
  }

  private take(bytes: Buffer): void {
    let rest = this.buffered.length === 0 ? bytes : Buffer.concat([this.buffered, bytes])
    this.buffered = EMPTY
    while (rest.length > 0 && this.pending !== undefined) {
      const used = this.step(rest)
      if (used === 0) break
      rest = rest.subarray(used)
    }
    this.buffered = rest
  }

  /** Bytes used; 0 if more are needed. */
  private step(bytes: Buffer): number {
    if (this.head === '') return this.takeHead(bytes)
    if (this.remaining === undefined) return this.takeChunkLine(bytes)
    const part = bytes.subarray(0, this.remaining)
    this.bodyBytes += part.length
    this.crc = crc32(part, this.crc)
    if (this.pending?.keepBody) this.kept.push(Buffer.from(part))
    this.remaining -= part.length
    if (this.remaining === 0) this.endPart()
    return part.length
  }

  private takeHead(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n')
    if (end < 0) return 0
    const head = bytes.toString('latin1', 0, end)
    if (/^HTTP\/1\.1 1\d\d/.test(head)) return end + 4
    this.head = head
    this.isChunked = /\r\ntransfer-encoding: *chunked/i.test(head)
    this.remaining = this.isChunked ? undefined : this.announcedBytes(head)
    if (this.remaining === 0) this.finish()
    return end + 4
  }

  private announcedBytes(head: string): number {
    const status = Number(head.slice(9, 12))
    if (this.pending?.isHead || status === 204 || status === 304) return 0
    return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
  }

  private takeChunkLine(bytes: Buffer): number {
    // The line end of the chunk before comes first.
    const from = bytes[0] === 0x0d ? 2 : 0
    const end = bytes.indexOf('\r\n', from)
    if (end < 0) return 0
    const size = Number.parseInt(bytes.toString('latin1', from, end), 16)
    if (size > 0) {
      this.remaining = size
      return end + 2
    }
    const last = bytes.indexOf('\r\n\r\n', end)
    if (last < 0) return 0
    this.finish()
    return last + 4
  }

  private endPart(): void {
    if (this.isChunked) this.remaining = undefined
    else this.finish()
  }

  private finish(): void {
    const done = this.pending
    const { head, bodyBytes, crc, kept } = this
    this.pending = undefined
    this.head = ''
    this.remaining = undefined
    this.bodyBytes = 0
    this.crc = 0
    this.kept = []
    done?.resolve({
      status: Number(head.slice(9, 12)),
      bodyBytes,
      crc32: crc,
      head,
      ...(done.keepBody ? { body: Buffer.concat(kept) } : {}),
    })
  }

  private fail(error: Error): void {
    this.pending?.reject(error)
    this.pending = undefined
  }
}
