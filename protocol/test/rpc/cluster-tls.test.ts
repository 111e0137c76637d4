import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { expect } from 'chai'
import {
  type ClusterTls,
  createRouter,
  createTcpNetwork,
  type HandshakeIdentity,
  type Network,
  type Role,
  type RpcListener,
  rolesInNames,
  systemClock,
  systemRandom,
} from '../../src/index.js'
import { parseAddress } from '../../src/rpc/address.js'
import { type Authority, makeAuthority } from './authority.js'
import { describeNetwork } from './network-conformance.js'
import { client, errorOf, said, server, talk } from './network-fixture.js'

let authority: Authority
let chunk: ClusterTls
let gateway: ClusterTls
let everyone: ClusterTls
before(function () {
  this.timeout(60_000)
  authority = makeAuthority()
  chunk = authority.issue('URI:cairn:role/chunk')
  gateway = authority.issue('DNS:gateway.example,URI:cairn:role/gateway')
  everyone = authority.issue('URI:cairn:role/chunk,URI:cairn:role/gateway')
})
after(() => authority.remove())

function networkOf(tls: ClusterTls | undefined, reported: string[] = []): Network {
  const onError = (error: unknown, where: string): void => {
    reported.push(`${where}: ${(error as Error).message}`)
  }
  const world = { clock: systemClock, random: systemRandom, onError }
  return createTcpNetwork(tls === undefined ? world : { ...world, tls: { current: () => tls } })
}

describeNetwork('createTcpNetwork over TLS', () => {
  const reported: { error: unknown; where: string }[] = []
  const network = createTcpNetwork({
    clock: systemClock,
    random: systemRandom,
    onError: (error, where) => where === 'talk' && reported.push({ error, where }),
    tls: { current: () => everyone },
  })
  return { network, address: '127.0.0.1:0', reported, until: (promise) => promise }
})

describe('mutual TLS', () => {
  const told: string[] = []
  let current: ClusterTls
  let listener: RpcListener

  beforeEach(async () => {
    told.length = 0
    current = chunk
    const onError = (error: unknown, where: string): void => {
      told.push(`${where}: ${(error as Error).message}`)
    }
    const tls = { current: () => current }
    const network = createTcpNetwork({ clock: systemClock, random: systemRandom, onError, tls })
    const router = createRouter()
    router.handle(talk, async () => ({ response: said }))
    listener = await network.listen('127.0.0.1:0', router, server)
  })
  afterEach(() => listener.close(0))

  async function ask(
    tls: ClusterTls | undefined,
    {
      as = client,
      heard = [],
      role = 'chunk',
    }: { as?: HandshakeIdentity; heard?: string[]; role?: Role } = {},
  ): Promise<string> {
    const peer = networkOf(tls, heard).connect(listener.address, as, role)
    const error = await errorOf(peer.call(talk, { word: '', data: Buffer.alloc(0) }, { deadlineMs: 10_000 }))
    await peer.close()
    return error === undefined ? 'answered' : `${error.code}: ${error.message}`
  }

  it('connects two ends whose certificates name their roles', async () => {
    expect(await ask(gateway)).to.equal('answered')
    expect(told).to.deep.equal([])
  })

  it('refuses a caller that says another role than its certificate, whatever it knows, on both sides', async () => {
    const heard: string[] = []
    expect(await ask(chunk, { heard })).to.match(/^PeerRejected: gateway shows a certificate of role chunk/)
    expect(told.join()).to.equal('handshake: gateway shows a certificate of role chunk')
    expect(heard.join()).to.equal('handshake: gateway shows a certificate of role chunk')
  })

  it('refuses a server that says another role than its certificate', async () => {
    current = authority.issue('URI:cairn:role/client')
    expect(await ask(gateway)).to.match(/^PeerRejected: chunk shows a certificate of role client/)
  })

  it('refuses a server that proves another role than the one that was dialled', async () => {
    const heard: string[] = []
    expect(await ask(gateway, { role: 'metadata', heard })).to.match(
      /^PeerRejected: chunk answers where metadata was dialled/,
    )
    expect(heard.join()).to.equal('handshake: chunk answers where metadata was dialled')
  })

  for (const names of [
    '',
    'DNS:cairn.example',
    'URI:cairn:role/',
    'URI:cairn:role/GATEWAY',
    'URI:xcairn:role/gateway',
  ]) {
    it(`refuses a certificate with the names "${names}"`, async () => {
      expect(await ask(authority.issue(names))).to.match(
        /^PeerRejected: gateway shows a certificate of no role/,
      )
    })
  }

  it('refuses a certificate of another authority, on both sides', async () => {
    const other = makeAuthority()
    const stranger = other.issue('URI:cairn:role/gateway')
    other.remove()
    const heard: string[] = []
    expect(await ask({ ...stranger, ca: gateway.ca }, { heard })).to.match(/^ConnectionLost/)
    expect(told.join()).to.match(/^handshake: no TLS with/)
    expect(heard.join()).to.match(/^handshake: .* it may not have trusted our certificate/)
    expect(await ask({ ...gateway, ca: stranger.ca })).to.match(/^PeerRejected: no TLS with 127/)
  })

  it('refuses a certificate that has expired', async () => {
    expect(await ask(authority.issue('URI:cairn:role/gateway', -1))).to.match(/^ConnectionLost/)
    expect(told.join()).to.match(/^handshake: no TLS with .* refused: CERT_HAS_EXPIRED/)
  })

  it('still wants the cluster secret', async () => {
    const as = { ...client, clusterSecret: Buffer.alloc(32, 6) }
    expect(await ask(gateway, { as })).to.match(/^PeerRejected: peer did not prove the cluster secret/)
  })

  it('speaks to nobody without TLS', async () => {
    expect(await ask(undefined)).to.match(/^ConnectionLost/)
    const socket = connect(parseAddress(listener.address))
    socket.end('GET / HTTP/1.1\r\n\r\n')
    await once(socket, 'close')
    expect(told.length).to.be.above(0)
  })

  for (const maxVersion of ['TLSv1.2', 'TLSv1.1'] as const) {
    it(`does not go down to ${maxVersion}`, async () => {
      const { ca, cert, key } = gateway
      const checkServerIdentity = (): undefined => undefined
      const options = { ca, cert, key, minVersion: maxVersion, maxVersion, checkServerIdentity }
      const socket = tlsConnect({ ...parseAddress(listener.address), ...options })
      const [error] = await once(socket, 'error').catch((thrown: unknown) => [thrown])
      expect(String(error)).to.match(/version|protocol/i)
    })
  }

  it('takes nobody without a certificate', async () => {
    const options = { ca: gateway.ca, checkServerIdentity: (): undefined => undefined }
    const socket = tlsConnect({ ...parseAddress(listener.address), ...options })
    const [error] = await once(socket, 'error').catch((thrown: unknown) => [thrown])
    expect(String(error)).to.match(/certificate required/)
    expect(told.join()).to.match(/certificate/)
  })

  it('gives no ticket by which a session could be resumed', async () => {
    const sessions: Buffer[] = []
    const options = { ...gateway, checkServerIdentity: (): undefined => undefined }
    const socket = tlsConnect({ ...parseAddress(listener.address), ...options })
    socket.on('session', (session: Buffer) => sessions.push(session))
    socket.write('no frame at all, but long enough to be read as the head of one')
    socket.on('error', () => undefined)
    socket.resume()
    await once(socket, 'close')
    const resumed = tlsConnect({
      ...parseAddress(listener.address),
      ...options,
      ...(sessions[0] === undefined ? {} : { session: sessions[0] }),
    })
    await once(resumed, 'secureConnect')
    expect(resumed.isSessionReused()).to.equal(false)
    resumed.destroy()
  })

  it('takes a changed certificate with the next connection', async () => {
    const other = makeAuthority()
    const [newChunk, newGateway] = [
      other.issue('URI:cairn:role/chunk'),
      other.issue('URI:cairn:role/gateway'),
    ]
    other.remove()
    expect(await ask(newGateway)).to.match(/^PeerRejected/)
    current = newChunk
    expect(await ask(newGateway)).to.equal('answered')
    expect(await ask(gateway)).to.match(/^PeerRejected/)
    current = authority.issue('URI:cairn:role/chunk', -1)
    expect(await ask(gateway)).to.match(/^PeerRejected: no TLS with .*expired/)
  })
})

describe('rolesInNames', () => {
  it('finds the roles among other names', () => {
    expect(rolesInNames('DNS:a, URI:cairn:role/chunk, IP Address:::1, URI:cairn:role/gateway')).to.deep.equal(
      ['chunk', 'gateway'],
    )
    expect(rolesInNames(undefined)).to.deep.equal([])
  })

  it('takes nothing from names that hold separators', () => {
    expect(rolesInNames('DNS:"a, URI:cairn:role/metadata, b"')).to.deep.equal([])
  })
})
