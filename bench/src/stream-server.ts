/** Sends 512 MB to whoever connects, as fast as it can. Tells its parent the port. */
import { createServer } from 'node:net'

const TOTAL = 512_000_000
const CHUNK = Buffer.alloc(1_000_000)

const server = createServer((socket) => {
  let sent = 0
  function more(): void {
    while (sent < TOTAL) {
      sent += CHUNK.length
      if (!socket.write(CHUNK)) return
    }
    socket.end()
  }
  socket.on('drain', more)
  more()
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0)
})
