import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect } from 'chai'
import { DirectRequest } from '../../src/http/direct-request.js'

const HEAD = 'PUT / HTTP/1.1\r\nHost: here\r\nContent-Length: 6\r\n\r\n'

describe('DirectRequest', () => {
  let server: Server<typeof DirectRequest>
  let client: Socket
  let answered: Promise<string>

  /** Answers with what the handler finds in the body. */
  async function serve(read: (request: DirectRequest) => Promise<string>): Promise<void> {
    server = createServer({ IncomingMessage: DirectRequest }, (request, response) => {
      void read(request).then((found) => response.end(found))
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    client = connect((server.address() as AddressInfo).port, '127.0.0.1')
    answered = new Promise((resolve) => {
      client.once('data', (bytes) => resolve(String(bytes).split('\r\n').at(-1) ?? ''))
    })
  }

  afterEach(() => {
    client.destroy()
    server.close()
  })

  it('hands pieces over as they come, and is read when the last has come', async () => {
    await serve(async (request) => {
      const found = await taken(request, 6)
      await new Promise(setImmediate)
      return `${found} ${request.readableLength} ${request.readableEnded}`
    })
    client.write(`${HEAD}abc`)
    client.write('def')
    expect(await answered).to.equal('abcdef 0 true')
  })

  it('hands over what came before somebody took it', async () => {
    await serve(async (request) => {
      await new Promise<void>((resolve) => {
        request.once('readable', resolve)
      })
      return taken(request, 6)
    })
    client.write(`${HEAD}abcdef`)
    expect(await answered).to.equal('abcdef')
  })

  it('is a stream again when it is given back', async () => {
    await serve(async (request) => {
      const first = await taken(request, 3)
      request.giveBack()
      expect(request.readableEnded).to.equal(false)
      setImmediate(() => client.write('def'))
      let rest = ''
      for await (const bytes of request) rest += bytes
      return `${first}|${rest} ${request.readableEnded}`
    })
    client.write(`${HEAD}abc`)
    expect(await answered).to.equal('abc|def true')
  })

  it('shows the headers as S3 reads them', async () => {
    await serve(async ({ headers }) => `${headers.range} ${headers['x-a']} ${'constructor' in headers}`)
    client.write('GET / HTTP/1.1\r\nHost: here\r\nRange: a\r\nRange: b\r\nX-A: 1\r\nx-a: 2\r\n\r\n')
    expect(await answered).to.equal('a,b 1,2 false')
  })

  it('closes when its client leaves within the body', async () => {
    const closed = new Promise<boolean>((resolve, reject) => {
      serve(async (request) => {
        void taken(request, 6)
        request.on('close', () => resolve(request.readableEnded))
        client.destroy()
        return new Promise(() => undefined)
      })
        .then(() => client.write(`${HEAD}abc`))
        .catch(reject)
    })
    expect(await closed).to.equal(false)
  })
})

/** The body, up to so many bytes, as it is handed over. */
function taken(request: DirectRequest, sizeBytes: number): Promise<string> {
  return new Promise((resolve) => {
    let found = ''
    request.takeBody((bytes) => {
      found += Buffer.from(bytes).toString()
      if (found.length === sizeBytes) resolve(found)
    })
  })
}
