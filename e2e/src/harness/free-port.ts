import { once } from 'node:events'
import { createServer } from 'node:net'

/** A TCP port of this machine that nobody listens on now: for servers that come back on the same one. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Below the ephemeral ports, so that no outgoing connection takes it meanwhile. */
const LOW_PORT_MIN = 20_000
const LOW_PORT_MAX = 32_000

let nextLowPort = LOW_PORT_MIN + Math.floor(Math.random() * (LOW_PORT_MAX - LOW_PORT_MIN))

/** A free port below the ephemeral ones; no two calls of a process give the same until all were given. */
export async function freeLowPort(): Promise<number> {
  for (;;) {
    nextLowPort = nextLowPort >= LOW_PORT_MAX ? LOW_PORT_MIN : nextLowPort + 1
    const port = nextLowPort
    const server = createServer()
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    } catch {
      // Somebody has it.
      continue
    }
    server.close()
    await once(server, 'close')
    return port
  }
}
