import { createRequire } from 'node:module'
import type { AdminClient } from '@cairn/client'
import {
  type AccountPrincipal,
  createAccountGuard,
  DEFAULT_GATEWAY_CONFIG,
  signRequest,
} from '@cairn/gateway'
import { CairnError, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { type FastifyInstance, fastify } from 'fastify'
import { registerAdminPaths } from '../../src/http/admin-paths.js'

interface Aws4 {
  sign(request: object, credentials: object): { path: string }
}
const aws4 = createRequire(import.meta.url)('aws4') as Aws4

const ROOT = { accessKey: 'root', secretKey: 'secret of the root' }
const OTHER = { accessKey: 'other', secretKey: 'secret of another' }
const HOST = 'localhost:9000'

describe('admin paths', () => {
  let app: FastifyInstance
  let calls: string[]
  /** Every method and path that was registered. */
  let routes: { readonly method: string; readonly url: string }[]

  beforeEach(() => {
    calls = []
    const note = (call: string) => calls.push(call)
    const admin = {
      status: async () => {
        note('status')
        const member = { id: 'c1', address: 'h:1', zone: '', rack: '', host: 'h' }
        const drives = [
          { id: 'd1', server: 'c1', state: 'up', path: '/d' },
          { id: 'd2', server: 'c2', state: 'up', path: '/d' },
        ]
        return { epoch: 1, members: [member], drives, moves: { positionsLeft: 7 } }
      },
      changeDrives: async (request: { action: string; force: boolean }) => {
        note(JSON.stringify(request))
        if (request.action === 'remove') throw new CairnError('PreconditionFailed', 'it holds groups')
      },
      startCheck: async ({ deep }: { deep: boolean }) => {
        note(`start ${deep}`)
        if (deep) throw new CairnError('Busy', 'one runs', { details: { check: 'c1' } })
        return 'c1'
      },
      getCheck: async (options: object) => {
        note(JSON.stringify(options))
        return { state: 'done' }
      },
      featureLevel: async () => {
        note('level')
        return { level: 1, members: [] }
      },
      raiseFeatureLevel: async () => {
        note('raise')
        throw new CairnError('PreconditionFailed', 'c1 does not support it')
      },
      acceptRestore: async (incarnation: string) => void note(`accept ${incarnation}`),
    } as unknown as AdminClient
    const account = { canonicalId: 'x', displayName: 'x' }
    const credentials = {
      find: (key: string) => {
        const found = [ROOT, OTHER].find(({ accessKey }) => accessKey === key)
        return found === undefined ? undefined : { ...found, account }
      },
    }
    const config = DEFAULT_GATEWAY_CONFIG
    const guard = createAccountGuard({ config, credentials, clock: systemClock })
    app = fastify()
    routes = []
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) routes.push({ method: one, url })
    })
    registerAdminPaths(app, { admin, guard, accessKey: ROOT.accessKey, clock: systemClock })
  })

  afterEach(() => app.close())

  let nonces = 0
  const nonce = (): Record<string, string> => ({ 'x-cairn-nonce': String(++nonces) })

  async function ask(
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    credentials = ROOT,
    region = 'us-east-1',
  ) {
    const url = new URL(`http://${HOST}/-/admin/v1/${path}`)
    const headers = signRequest({ method, url, region, credentials, nowMs: Date.now(), headers: nonce() })
    return app.inject({ method, url: `${url.pathname}${url.search}`, headers })
  }

  it('answer the root account', async () => {
    expect((await ask('GET', 'status')).json().epoch).to.equal(1)
    expect((await ask('POST', 'check?deep=false')).json()).to.deep.equal({ check: 'c1' })
    expect((await ask('GET', 'check?check=c1')).statusCode).to.equal(200)
    expect((await ask('DELETE', 'check')).statusCode).to.equal(200)
    expect((await ask('POST', 'restore/accept?incarnation=i1')).statusCode).to.equal(200)
    expect(calls).to.deep.equal(['status', 'start false', '{"check":"c1"}', '{"cancel":true}', 'accept i1'])
  })

  it('show nodes with their drives, drives, and what moves', async () => {
    const { nodes } = (await ask('GET', 'nodes')).json()
    expect(nodes).to.have.length(1)
    expect(nodes[0].drives.map(({ id }: { id: string }) => id)).to.deep.equal(['d1'])
    expect((await ask('GET', 'drives')).json().drives).to.have.length(2)
    expect((await ask('GET', 'rebalance')).json()).to.deep.equal({ positionsLeft: 7 })
  })

  it('take wishes for nodes and drives, and refuse with the reason', async () => {
    expect((await ask('POST', 'nodes?action=drain&node=c1&force=true')).statusCode).to.equal(200)
    expect((await ask('POST', 'drives?action=replace&drive=d1&by=d2')).statusCode).to.equal(200)
    expect((await ask('POST', 'rebalance')).statusCode).to.equal(200)
    expect((await ask('POST', 'drives?action=add&drive=d2')).statusCode).to.equal(200)
    expect((await ask('POST', 'nodes?action=replace&node=c1&by=c2')).json()).to.deep.equal({
      action: 'replace',
      drives: [],
      nodes: ['c1', 'c2'],
    })
    for (const action of ['add', 'drain', 'undrain', 'remove']) {
      const known = calls.length
      expect((await ask('POST', `drives?action=${action}&drive=d1&by=d2`)).statusCode, action).to.equal(400)
      expect((await ask('POST', `nodes?action=${action}&node=c1&by=c2`)).statusCode, action).to.equal(400)
      expect(calls.length, action).to.equal(known)
    }
    const refused = await ask('POST', 'drives?action=remove&drive=d1')
    expect(refused.statusCode).to.equal(409)
    expect(refused.json().message).to.equal('it holds groups')
    expect((await ask('POST', 'drives?action=explode&drive=d1')).statusCode).to.equal(404)
    expect(calls.slice(0, 5)).to.deep.equal([
      '{"action":"drain","drives":[],"servers":["c1"],"force":true}',
      '{"action":"replace","drives":["d1","d2"],"servers":[],"force":false}',
      '{"action":"rebalance","drives":[],"servers":[],"force":false}',
      '{"action":"add","drives":["d2"],"servers":[],"force":false}',
      '{"action":"replace","drives":[],"servers":["c1","c2"],"force":false}',
    ])
  })

  it('show and raise the feature level', async () => {
    expect((await ask('GET', 'feature-level')).json()).to.deep.equal({ level: 1, members: [] })
    const refused = await ask('POST', 'feature-level')
    expect([refused.statusCode, refused.json().message]).to.deep.equal([409, 'c1 does not support it'])
    expect(calls).to.deep.equal(['level', 'raise'])
  })

  it('refuse everybody else, on loopback too', async () => {
    const unsigned = await app.inject({ url: '/-/admin/v1/status', remoteAddress: '127.0.0.1' })
    expect(unsigned.statusCode).to.be.at.least(400)
    expect((await ask('GET', 'status', OTHER)).statusCode).to.equal(403)
    const wrong: Pick<AccountPrincipal, 'accessKey'> & { secretKey: string } = {
      ...ROOT,
      secretKey: 'wrong one',
    }
    expect((await ask('GET', 'status', wrong)).statusCode).to.be.at.least(400)
    expect((await ask('GET', 'status', ROOT, 'eu-west-1')).statusCode).to.be.at.least(400)
    expect(calls).to.deep.equal([])
  })

  const HOUR_MS = 3_600_000
  type Sign = (method: string, url: URL) => Record<string, string>
  const signed =
    (change: Partial<Parameters<typeof signRequest>[0]>): Sign =>
    (method, url) =>
      signRequest({
        method,
        url,
        region: 'us-east-1',
        credentials: ROOT,
        nowMs: Date.now(),
        headers: nonce(),
        ...change,
      })
  const ATTACKS: Record<string, Sign> = {
    'without a signature': () => ({ host: HOST }),
    'with an empty Authorization': () => ({ host: HOST, authorization: '' }),
    'with a wrong secret': signed({ credentials: { ...ROOT, secretKey: 'wrong' } }),
    'with an unknown key': signed({ credentials: { ...ROOT, accessKey: 'nobody' } }),
    'signed by another account': signed({ credentials: OTHER }),
    'signed for another region': signed({ region: 'eu-west-1' }),
    'signed an hour ago': signed({ nowMs: Date.now() - HOUR_MS }),
    'signed for another path': signed({ url: new URL(`http://${HOST}/-/admin/v1/other`) }),
    'signed for another query': (method, url) => signed({ url: new URL(`${url}?deep=true`) })(method, url),
    'signed for another method': (method, url) => signed({ method: `X${method}` })(method, url),
    'signed for another host': (method, url) => ({ ...signed({})(method, url), host: `bucket.${HOST}` }),
    'signed for another service': (method, url) => {
      const headers = signed({})(method, url)
      return { ...headers, authorization: `${headers.authorization}`.replace('/s3/', '/iam/') }
    },
    'with an x-amz header that is not signed': (method, url) => ({
      ...signed({})(method, url),
      'x-amz-meta-a': '1',
    }),
  }

  for (const [attack, sign] of Object.entries(ATTACKS)) {
    it(`are not reached ${attack}, by any method that is there`, async () => {
      await app.ready()
      expect(routes.length).to.be.at.least(5)
      for (const { method, url } of routes) {
        const headers = sign(method, new URL(`http://${HOST}${url}`))
        const answer = await app.inject({ method: method as 'GET', url, headers })
        expect(answer.statusCode, `${method} ${url}`).to.be.at.least(400)
      }
      expect(calls).to.deep.equal([])
    })
  }

  it('are reached by the root account by each method that is there', async () => {
    await app.ready()
    for (const { method, url } of routes) {
      calls.length = 0
      const path = `${url}?action=drain`
      const headers = signed({})(method, new URL(`http://${HOST}${path}`))
      await app.inject({ method: method as 'GET', url: path, headers })
      expect(calls, `${method} ${url}`).to.have.lengthOf(1)
    }
  })

  it('take a captured request once, and say so the second time', async () => {
    await app.ready()
    for (const { method, url } of routes) {
      const path = `${url}?action=drain`
      const headers = signed({})(method, new URL(`http://${HOST}${path}`))
      const send = () => app.inject({ method: method as 'GET', url: path, headers })
      await send()
      calls.length = 0
      const again = await send()
      expect(again.statusCode, `${method} ${url}`).to.equal(403)
      if (method !== 'HEAD') expect(again.json().code, `${method} ${url}`).to.equal('RequestReplayed')
      expect(calls, `${method} ${url}`).to.deep.equal([])
    }
  })

  it('refuse a captured request whatever is changed about it that was not signed', async () => {
    const url = new URL(`http://${HOST}/-/admin/v1/rebalance`)
    const headers = signed({})('POST', url)
    const send = (more: Record<string, string>, at = url.pathname) =>
      app.inject({ method: 'POST', url: at, headers: { ...headers, ...more } })
    expect((await send({})).statusCode).to.equal(200)
    for (const more of [{ 'user-agent': 'other' }, { 'x-cairn-nonce': 'other' }, { 'x-more': 'a' }]) {
      expect((await send(more)).statusCode).to.equal(403)
    }
    expect((await send({}, `${url.pathname}?`)).statusCode).to.equal(403)
    expect(calls).to.have.lengthOf(1)
  })

  it('are not reached by a presigned request, which would be good for a week', async () => {
    const path = '/-/admin/v1/status?X-Amz-Expires=604800'
    const request = { host: HOST, path, method: 'GET', service: 's3', region: 'us-east-1', signQuery: true }
    const presigned = aws4.sign(request, { accessKeyId: ROOT.accessKey, secretAccessKey: ROOT.secretKey })
    const answer = await app.inject({ url: presigned.path, headers: { host: HOST } })
    expect(answer.statusCode).to.be.at.least(400)
    expect(calls).to.deep.equal([])
  })

  it('refuse a parameter that was sent twice', async () => {
    expect((await ask('GET', 'check?check=a&check=b')).statusCode).to.equal(400)
    expect(calls).to.deep.equal([])
  })

  it('say which check runs already', async () => {
    const answer = await ask('POST', 'check?deep=true')
    expect(answer.statusCode).to.equal(409)
    expect(answer.json()).to.include({ check: 'c1' })
  })
})
