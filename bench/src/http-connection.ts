/** One keep-alive HTTP/1.1 connection that sends prepared bytes and reads whole answers: little CPU of its own. */
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly status: number
  readonly bodyBytes: number
  /** The body, if it was asked for. */
  readonly body?: Buffer
}

export interface PreparedRequest {
  readonly head: Buffer
  readonly body?: Buffer
}

export interface HttpConnection {
  /** Sends one request; the next only after this has resolved. */
  send(request: PreparedRequest, keepBody?: boolean): Promise<Answer>
  close(): void
}

interface Pending {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
  readonly keepBody: boolean
}

/** Connects to `http://host:port`. */
export async function openConnection(endpoint: string): Promise<HttpConnection> {
  const { hostname, port } = new URL(endpoint)
  const socket: Socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  let pending: Pending | undefined
  let head: Buffer = Buffer.alloc(0)
  let status = 0
  let remaining = -1
  let bodyBytes = 0
  let kept: Buffer[] = []

  function fail(error: Error): void {
    pending?.reject(error)
    pending = undefined
  }

  function finish(): void {
    const done = pending
    pending = undefined
    remaining = -1
    const answer = { status, bodyBytes, ...(done?.keepBody ? { body: Buffer.concat(kept) } : {}) }
    kept = []
    done?.resolve(answer)
  }

  function takeBody(chunk: Buffer): void {
    remaining -= chunk.length
    if (pending?.keepBody) kept.push(chunk)
    if (remaining < 0) fail(new Error('more bytes than announced'))
    else if (remaining === 0) finish()
  }

  function takeHead(chunk: Buffer): void {
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    const text = head.toString('latin1', 0, end)
    const rest = head.subarray(end + 4)
    head = Buffer.alloc(0)
    status = Number(text.slice(9, 12))
    bodyBytes = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1] ?? 0)
    remaining = bodyBytes
    if (remaining === 0) finish()
    else if (rest.length > 0) takeBody(rest)
  }

  socket.on('data', (chunk: Buffer) => {
    if (remaining > 0) takeBody(chunk)
    else takeHead(chunk)
  })
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the server closed the connection')))

  return {
    send(request, keepBody = false) {
      return new Promise((resolve, reject) => {
        pending = { resolve, reject, keepBody }
        socket.cork()
        socket.write(request.head)
        if (request.body !== undefined) socket.write(request.body)
        socket.uncork()
      })
    },
    close: () => socket.destroy(),
  }
}
