/** HTTP by hand over a raw socket: what is sent is exactly what the test says, and nothing of the answer is hidden. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  type Identity,
  type PresignOptions,
  presignQuery,
  type RequestOptions,
  type SignedRequest,
  signRequest,
  unsignedRequest,
} from './signing.js'

export interface WireResponse {
  readonly status: number
  /** By lower-case name; latin1 text. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly text: string
}

/** One connection, used for one request after the other. */
export class WireConnection {
  private readonly socket: Socket
  private received = Buffer.alloc(0)
  private ended = false
  private wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => {
      this.received = Buffer.concat([this.received, bytes])
      this.wake()
    })
    const end = (): void => {
      this.ended = true
      this.wake()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  }

  static async open(identity: Pick<Identity, 'endpoint'>): Promise<WireConnection> {
    const { hostname, port } = new URL(identity.endpoint)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    return new WireConnection(socket)
  }

  /** Sends bytes as they are; resolves when the kernel has them. */
  write(bytes: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()))
  }

  /** Sends bytes in writes of their own, each of at most so many bytes. */
  async writePieces(bytes: Uint8Array, pieceBytes: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await this.write(bytes.subarray(at, at + pieceBytes))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async send(request: SignedRequest): Promise<WireResponse> {
    await this.write(Buffer.concat([request.head, request.body]))
    return this.read(request.method)
  }

  /** The next answer, 100 Continue included. Rejects if the connection ends within it. */
  async read(method = 'GET'): Promise<WireResponse> {
    const headEnd = await this.find('\r\n\r\n')
    const [first = '', ...lines] = this.take(headEnd + 4)
      .toString('latin1')
      .trimEnd()
      .split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1])
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const colon = line.indexOf(':')
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304
    const body = bodiless ? Buffer.alloc(0) : await this.readBody(headers)
    return { status, headers, body, text: body.toString() }
  }

  /** Resolves when the other side has closed; what came before it is thrown away. */
  async closed(): Promise<void> {
    while (!this.ended) await this.more()
  }

  /** Bytes received that belong to no answer read so far. */
  get pendingBytes(): number {
    return this.received.length
  }

  destroy(): void {
    this.socket.destroy()
  }

  private async readBody(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    if (headers['transfer-encoding'] === 'chunked') return this.readChunks()
    const length = headers['content-length']
    if (length !== undefined) {
      await this.atLeast(Number(length))
      return this.take(Number(length))
    }
    while (!this.ended) await this.more()
    return this.take(this.received.length)
  }

  private async readChunks(): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (;;) {
      const lineEnd = await this.find('\r\n')
      const size = Number.parseInt(this.take(lineEnd + 2).toString(), 16)
      await this.atLeast(size + 2)
      pieces.push(this.take(size))
      this.take(2)
      if (size === 0) return Buffer.concat(pieces)
    }
  }

  private async find(text: string): Promise<number> {
    for (;;) {
      const at = this.received.indexOf(text)
      if (at >= 0) return at
      if (this.ended) throw new Error('the connection ended before an answer')
      await this.more()
    }
  }

  private async atLeast(sizeBytes: number): Promise<void> {
    while (this.received.length < sizeBytes) {
      if (this.ended) throw new Error('the connection ended within an answer')
      await this.more()
    }
  }

  private more(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve
    })
  }

  private take(sizeBytes: number): Buffer {
    const taken = this.received.subarray(0, sizeBytes)
    this.received = this.received.subarray(sizeBytes)
    return taken
  }
}

async function exchange(identity: Identity, request: SignedRequest): Promise<WireResponse> {
  const connection = await WireConnection.open(identity)
  try {
    return await connection.send(request)
  } finally {
    connection.destroy()
  }
}

/** One signed request on a connection of its own. */
export function send(identity: Identity, options: RequestOptions): Promise<WireResponse> {
  return exchange(identity, signRequest(identity, options))
}

/** One request without credentials, or with what the test puts among its headers. */
export function sendUnsigned(identity: Identity, options: RequestOptions): Promise<WireResponse> {
  return exchange(identity, unsignedRequest(identity, options))
}

/** One request by a presigned URL. */
export function sendPresigned(
  identity: Identity,
  options: PresignOptions & { readonly body?: Uint8Array | string; readonly extra?: Record<string, string> },
): Promise<WireResponse> {
  const { method = 'GET', path, headers = {}, extra = {}, body } = options
  const request = { method, path, query: presignQuery(identity, options), headers: { ...headers, ...extra } }
  return exchange(identity, unsignedRequest(identity, body === undefined ? request : { ...request, body }))
}
