import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32 } from 'node:zlib'
import { expect } from 'chai'
import { openConnection } from '../../src/load/http-connection.js'

const BODY = Buffer.from('listing '.repeat(50_000))

describe('openConnection', () => {
  let server: Server
  let endpoint: string

  before(async () => {
    server = createServer((request, response) => {
      if (request.url === '/chunked') {
        for (let at = 0; at < BODY.length; at += 7777) response.write(BODY.subarray(at, at + 7777))
        response.end()
      } else if (request.url === '/none') response.writeHead(204).end()
      else response.writeHead(200, { 'content-length': BODY.length }).end(BODY)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  after(() => server.close())

  it('reads answers of every framing on one connection, in turn', async () => {
    const connection = await openConnection(endpoint)
    const ask = (line: string) =>
      connection.send(
        { head: Buffer.from(`${line} HTTP/1.1\r\nhost: x\r\n\r\n`), isHead: line.startsWith('HEAD') },
        true,
      )
    for (let round = 0; round < 3; round++) {
      const chunked = await ask('GET /chunked')
      expect(chunked.bodyBytes).to.equal(BODY.length)
      expect(chunked.crc32).to.equal(crc32(BODY))
      expect((await ask('GET /none')).status).to.equal(204)
      expect((await ask('HEAD /sized')).bodyBytes).to.equal(0)
      const sized = await ask('GET /sized')
      expect(sized.body?.equals(BODY)).to.equal(true)
    }
    connection.close()
  })

  it('rejects when the server closes in the middle', async () => {
    const connection = await openConnection(endpoint)
    const answer = connection.send({ head: Buffer.from('GET / HTTP/1.1\r\n') })
    server.closeAllConnections()
    await answer.then(
      () => expect.fail('resolved'),
      (error: Error) => expect(error.message).to.match(/closed|ECONNRESET/),
    )
  })
})
