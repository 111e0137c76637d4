import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect } from 'chai'
import { DirectRequest } from '../../src/http/direct-request.js'
import { IncomingBody } from '../../src/http/incoming-body.js'

const HEAD = 'PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\n'

describe('IncomingBody', () => {
  let server: Server<typeof DirectRequest>
  let client: Socket

  beforeEach(async () => {
    server = createServer({ IncomingMessage: DirectRequest })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  })

  afterEach(() => {
    client.destroy()
    server.close()
  })

  /** The next request, whose body nobody has asked for. */
  function next(): Promise<{ request: DirectRequest; body: IncomingBody }> {
    return new Promise((resolve) => {
      server.once('request', (request: DirectRequest, response: ServerResponse) => {
        const body = new IncomingBody(request, response, { expectsContinue: false, isEmpty: false })
        resolve({ request, body })
      })
    })
  }

  for (const sent of ['abcdef', 'abc']) {
    it(`fails whoever reads after its client has left, with ${sent.length} of 6 bytes sent`, async () => {
      for (const read of [readWhole, readPieces]) {
        const coming = next()
        client.write(HEAD + sent)
        const { request, body } = await coming
        await new Promise<void>((resolve) => {
          request.once('close', resolve)
          client.destroy()
        })
        expect(await read(body).catch((error) => error.code), read.name).to.equal('Cancelled')
        client = connect((server.address() as AddressInfo).port, '127.0.0.1')
      }
    })
  }

  it('fails whoever waits for all of it when its client leaves', async () => {
    const coming = next()
    client.write(`${HEAD}abc`)
    const { body } = await coming
    const reading = readWhole(body).catch((error) => error.code)
    client.destroy()
    expect(await reading).to.equal('Cancelled')
  })
})

async function readWhole(body: IncomingBody): Promise<string> {
  return String(Buffer.from(await body.whole(6)))
}

async function readPieces(body: IncomingBody): Promise<string> {
  let found = ''
  for await (const bytes of body) found += Buffer.from(bytes).toString()
  return found
}
