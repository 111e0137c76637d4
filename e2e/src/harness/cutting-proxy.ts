/**
 * A TCP proxy that loses answers: the server has sent them, the client never gets them. It sees the status of every
 * answer, so that a test knows what the server has decided.
 */
import { once } from 'node:events'
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net'

/** One answer as the server sent it. */
export interface SeenAnswer {
  /** 500 for an error that came as a document after an early 200. */
  readonly status: number
  /** What the request said of itself: see `ProxyOptions.nameOf`. */
  readonly name: string
  readonly cut: boolean
}

export interface ProxyOptions {
  readonly port: number
  /** Names a request by its head (latin1 text). */
  readonly nameOf: (head: string) => string
  /** Whether the answer to the next request of a connection gets lost. */
  readonly cuts: () => boolean
}

export interface CuttingProxy {
  readonly endpoint: string
  readonly answers: readonly SeenAnswer[]
  /** Forgets the answers so far. */
  forget(): void
  close(): Promise<void>
}

/** Bytes of a request or answer that are looked at for its head. */
const HEAD_BYTES_MAX = 16 * 1024

const LATE_ERROR_STATUS = 500

/** Listens on a free port of this machine and carries every connection to `port`. */
export async function openCuttingProxy(options: ProxyOptions): Promise<CuttingProxy> {
  const answers: SeenAnswer[] = []
  const sockets = new Set<Socket>()
  const server: NetServer = createServer((client) => carry(client, options, { answers, sockets }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    endpoint: `http://127.0.0.1:${port}`,
    answers,
    forget: () => void answers.splice(0),
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

interface ProxyState {
  readonly answers: SeenAnswer[]
  readonly sockets: Set<Socket>
}

/** One request of a connection at a time, as SDKs send them. */
function carry(client: Socket, { port, nameOf, cuts }: ProxyOptions, { answers, sockets }: ProxyState): void {
  const server = connect(port, '127.0.0.1')
  let request = ''
  const end = (): void => {
    client.destroy()
    server.destroy()
  }
  for (const socket of [client, server]) {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', end)
    socket.on('close', () => {
      sockets.delete(socket)
      end()
    })
  }
  client.on('data', (bytes) => {
    if (request.length < HEAD_BYTES_MAX) request += bytes.toString('latin1')
    server.write(bytes)
  })
  let answer: { text: string; readonly cut: boolean } | undefined
  server.on('data', (bytes) => {
    const text = bytes.toString('latin1')
    // Of an answer that is judged already, or one that says to continue.
    if (answer === undefined && statusOf(text) < 200) return void client.write(bytes)
    answer ??= { text: '', cut: cuts() }
    answer.text += text
    const { cut } = answer
    if (!cut) client.write(bytes)
    if (!isDecided(answer.text)) return
    answers.push({ status: statusOf(answer.text), name: nameOf(request), cut })
    answer = undefined
    request = ''
    if (cut) end()
  })
}

/** An answer in chunks has begun before its outcome was known. */
function isDecided(text: string): boolean {
  return !/^transfer-encoding: chunked/im.test(text) || text.endsWith('0\r\n\r\n')
}

/** 0 if it is not the head of an answer. */
function statusOf(text: string): number {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
  return status === 200 && text.includes('<Error>') ? LATE_ERROR_STATUS : status
}
