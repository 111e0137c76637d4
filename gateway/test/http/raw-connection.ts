/** A client that sends exactly the bytes it is given: HTTP libraries would refuse or mend them. */
import { connect, type Socket } from 'node:net'

export interface RawResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export class RawConnection {
  readonly #socket: Socket
  #received: Buffer = Buffer.alloc(0)
  #closed = false
  #wake: () => void = () => undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  /** From 127.0.0.1 unless given. */
  static async open(port: number, localAddress: string = '127.0.0.1'): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new RawConnection(socket)
  }

  send(data: string | Uint8Array): void {
    this.#socket.write(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
  }

  /** Reads nothing more from the network. */
  pause(): void {
    this.#socket.pause()
  }

  /** The next whole response; `method` tells whether it has a body at all. */
  async read(method = 'GET'): Promise<RawResponse> {
    const headEnd = await this.#until(() => this.#received.indexOf('\r\n\r\n'))
    const [statusLine = '', ...lines] = this.#received.subarray(0, headEnd).toString('latin1').split('\r\n')
    const status = Number(statusLine.split(' ')[1])
    const headers: Record<string, string> = {}
    for (const line of lines) {
      const colon = line.indexOf(':')
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    const bodiless = method === 'HEAD' || status < 200 || status === 204 || status === 304
    const length = bodiless ? 0 : Number(headers['content-length'] ?? 0)
    const end = headEnd + 4 + length
    await this.#until(() => (this.#received.length >= end ? end : -1))
    const body = this.#received.subarray(headEnd + 4, end).toString()
    this.#received = this.#received.subarray(end)
    return { status, headers, body }
  }

  /** Resolves once the server has closed; with what it sent that nobody read. */
  async closed(): Promise<string> {
    while (!this.#closed) await this.#more()
    return this.#received.toString('latin1')
  }

  destroy(): void {
    this.#socket.destroy()
  }

  async #until(found: () => number): Promise<number> {
    for (;;) {
      const at = found()
      if (at >= 0) return at
      if (this.#closed)
        throw new Error(`connection closed after ${JSON.stringify(this.#received.toString())}`)
      await this.#more()
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
