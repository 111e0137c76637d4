/** A TCP proxy in front of a member of etcd that loses answers: the member has decided, and nobody hears of it. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  /** `host:port`. */
  readonly endpoint: string
  /** The next answer to a call is lost, and its connection with it. */
  loseNextAnswer(): void
  /** Answers lost so far. */
  readonly lost: number
  close(): Promise<void>
}

/** Bytes of the head of an HTTP/2 frame: length, type, flags, stream. */
const FRAME_HEAD_BYTES = 9
const DATA = 0

/** Carries every connection to `target` (`host:port`). */
export async function openTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(`http://${target}`)
  const sockets = new Set<Socket>()
  let isArmed = false
  let lost = 0
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes) => {
      if (!isArmed || !hasAnswer(bytes)) return void client.write(bytes)
      isArmed = false
      lost++
      client.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `127.0.0.1:${(server.address() as { port: number }).port}`,
    loseNextAnswer: () => {
      isArmed = true
    },
    get lost() {
      return lost
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A chunk that begins with whole frames, one of which carries a message. */
function hasAnswer(bytes: Buffer): boolean {
  for (let at = 0; at + FRAME_HEAD_BYTES <= bytes.length; at += FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === DATA) return true
  }
  return false
}
