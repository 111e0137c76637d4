import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { type CuttingProxy, openCuttingProxy } from '../../src/harness/cutting-proxy.js'

/** What the server says after it has answered 200. */
const LATE: Readonly<Record<string, string>> = { '/result': '<Result/>', '/error': '<Error><Code/></Error>' }

describe('the cutting proxy', () => {
  let server: Server
  let proxy: CuttingProxy
  let isCutting: boolean

  beforeEach(async () => {
    isCutting = false
    server = createServer((asked, answer) => {
      const late = LATE[asked.url ?? '']
      if (late === undefined) return void answer.writeHead(412, { 'content-length': 0 }).end()
      answer.write('<?xml?>', () => answer.end(late))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const nameOf = (head: string): string => /^GET (\S+)/.exec(head)?.[1] ?? ''
    proxy = await openCuttingProxy({ port, nameOf, cuts: () => isCutting })
  })

  afterEach(async () => {
    await proxy.close()
    server.closeAllConnections()
    server.close()
  })

  /** The body that arrives; rejects if the connection ends before. */
  async function get(path: string): Promise<string> {
    const asked = request(`${proxy.endpoint}${path}`)
    asked.end()
    const [answer] = await once(asked, 'response')
    let body = ''
    for await (const bytes of answer) body += String(bytes)
    return body
  }

  it('judges an answer that began early by its end', async () => {
    expect(await get('/error')).to.include('<Error>')
    expect(await get('/result')).to.include('<Result/>')
    await get('/refused')
    expect(proxy.answers).to.deep.equal([
      { status: 500, name: '/error', cut: false },
      { status: 200, name: '/result', cut: false },
      { status: 412, name: '/refused', cut: false },
    ])
  })

  it('loses an answer, and sees all of it', async () => {
    isCutting = true
    const lost = await get('/result').catch((error: NodeJS.ErrnoException) => error.code)
    expect(lost).to.equal('ECONNRESET')
    expect(proxy.answers).to.deep.equal([{ status: 200, name: '/result', cut: true }])
  })
})
