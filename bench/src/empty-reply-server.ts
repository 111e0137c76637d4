/** The least a Node server can do: an empty 200. Tells its parent the port. */
import { createServer } from 'node:http'

const server = createServer((_request, response) => {
  response.writeHead(200, ['content-length', '0']).end()
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0)
})
