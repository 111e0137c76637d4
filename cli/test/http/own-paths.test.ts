import { expect } from 'chai'
import { type FastifyInstance, fastify } from 'fastify'
import { registerOwnPaths } from '../../src/http/own-paths.js'
import { createMetrics } from '../../src/metrics.js'

describe('own paths', () => {
  let app: FastifyInstance

  before(() => {
    app = fastify()
    registerOwnPaths(app, {
      metrics: createMetrics(),
      metricsToken: 'token',
      host: 'store.internal',
      findTrouble: async () => undefined,
      inspect: () => ({ role: 'chunk', drives: 2 }),
    })
  })

  after(() => app.close())

  async function scrape(remoteAddress: string, headers: Record<string, string> = {}): Promise<number> {
    const answer = await app.inject({ url: '/-/metrics', remoteAddress, headers })
    return answer.statusCode
  }

  it('shows metrics to this host', async () => {
    for (const address of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
      expect(await scrape(address)).to.equal(200)
    }
  })

  it('shows what it knows to whom it shows metrics', async () => {
    const ask = (remoteAddress: string) => app.inject({ url: '/-/inspect', remoteAddress })
    expect((await ask('127.0.0.1')).json()).to.deep.equal({ role: 'chunk', drives: 2 })
    expect((await ask('10.0.0.1')).statusCode).to.equal(403)
  })

  it('shows metrics to other hosts only for the token', async () => {
    expect(await scrape('10.0.0.1')).to.equal(403)
    expect(await scrape('10.0.0.1', { authorization: 'Bearer wrong' })).to.equal(403)
    expect(await scrape('10.0.0.1', { authorization: 'Bearer token' })).to.equal(200)
  })

  it('shows metrics to this host only under a name that is its own', async () => {
    const own = [
      '127.0.0.1:9000',
      '127.0.0.1',
      '[::1]:9000',
      'localhost',
      'LOCALHOST:9000',
      'store.internal:9000',
    ]
    for (const host of own) expect(await scrape('127.0.0.1', { host }), host).to.equal(200)
    for (const host of [
      'evil.example:9000',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'store.internal.',
    ])
      expect(await scrape('127.0.0.1', { host }), host).to.equal(403)
    const named = { host: 'evil.example', authorization: 'Bearer token' }
    expect(await scrape('127.0.0.1', named)).to.equal(200)
  })

  it('takes what a proxy on this host forwards for a request from elsewhere', async () => {
    for (const name of ['Forwarded', 'Via', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Real-IP']) {
      expect(await scrape('127.0.0.1', { [name]: '127.0.0.1' })).to.equal(403)
    }
    const both = { 'X-Forwarded-For': '10.0.0.1', authorization: 'Bearer token' }
    expect(await scrape('127.0.0.1', both)).to.equal(200)
  })
})
