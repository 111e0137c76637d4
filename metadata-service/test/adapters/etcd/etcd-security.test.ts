import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:tls'
import {
  type EtcdCluster,
  hasEtcd,
  makeAuthority,
  removeFolder,
  startEtcd,
  temporaryFolder,
} from '@cairn/e2e'
import { expect } from 'chai'
import type { EtcdTls } from '../../../src/adapters/etcd/etcd-endpoint.js'
import type { EtcdEntryStoreOptions } from '../../../src/adapters/etcd/etcd-entry-store.js'
import { put } from '../../conformance/subject.js'
import { openEtcdSubject } from '../../support/etcd-subject.js'

const ROOT = '--user=root:root-password'

describe('an etcd that wants certificates and a password', function () {
  this.timeout(120_000)
  let cluster: EtcdCluster
  let folder: string
  let tls: EtcdTls
  let strangers: EtcdTls
  let impostor: Server
  const login = { user: 'cairn', password: 'cairn-password' }

  before(async function () {
    if (!(await hasEtcd())) return this.skip()
    folder = await temporaryFolder('authority')
    const authority = await makeAuthority(folder)
    const member = await authority.issue('member')
    const client = await authority.issue('client')
    cluster = await startEtcd({ certificates: { caFile: authority.caFile, ...member } })
    const read = ({ certFile, keyFile }: typeof client): EtcdTls => ({
      ca: readFileSync(authority.caFile),
      cert: readFileSync(certFile),
      key: readFileSync(keyFile),
    })
    tls = read(client)
    const other = await temporaryFolder('strangers')
    const otherAuthority = await makeAuthority(other)
    const stranger = await otherAuthority.issue('client')
    strangers = { ...read(stranger), ca: readFileSync(otherAuthority.caFile) }
    await removeFolder(other)
    impostor = createServer({ ...strangers, ALPNProtocols: ['h2'] }).on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve))
    await cluster.control('user', 'add', 'root:root-password')
    await cluster.control('user', 'grant-role', 'root', 'root')
    await cluster.control('role', 'add', 'cairn')
    await cluster.control('role', 'grant-permission', 'cairn', '--prefix=true', 'readwrite', '/cairn/')
    await cluster.control('user', 'add', 'cairn:cairn-password')
    await cluster.control('user', 'grant-role', 'cairn', 'cairn')
    await cluster.control('auth', 'enable')
  })

  after(async () => {
    impostor?.close()
    await cluster?.stop()
    if (folder !== undefined) await removeFolder(folder)
  })

  async function codeOf(options: Partial<EtcdEntryStoreOptions>): Promise<string> {
    const opening = openEtcdSubject(cluster, { prefix: '/cairn/', openMs: 0, ...options })
    return opening.then(
      async ({ store }) => {
        const applied = store.apply({ commits: [], always: [put('a', '1')] })
        return applied
          .then(
            () => 'none',
            (error: { code: string }) => error.code,
          )
          .finally(() => store.close())
      },
      (error: { code: string }) => error.code,
    )
  }

  it('tells whoever is let in how full it is, and its quota', async () => {
    const { store } = await openEtcdSubject(cluster, { prefix: '/cairn/', tls, quotaBytes: 1, ...login })
    while (store.space().length === 0) await new Promise((resolve) => setImmediate(resolve))
    const [space] = store.space()
    await store.close()
    expect(space?.member).to.equal(cluster.endpoints[0])
    expect(space?.bytes).to.be.within(1, space?.fileBytes ?? 0)
    expect([space?.quotaBytes, space?.isRefusing]).to.deep.equal([2 * 1024 ** 3, false])
  })

  it('takes who has both', async () => {
    expect(await codeOf({ tls, ...login })).to.equal('none')
  })

  it('refuses a wrong password, an unknown user, and none', async () => {
    expect(await codeOf({ tls, ...login, password: 'wrong' })).to.equal('PeerRejected')
    expect(await codeOf({ tls, ...login, user: 'nobody' })).to.equal('PeerRejected')
    expect(await codeOf({ tls })).to.equal('PeerRejected')
  })

  it('refuses rows outside of what the user may write', async () => {
    expect(await codeOf({ tls, ...login, prefix: '/others/' })).to.equal('PeerRejected')
  })

  it('refuses a missing certificate and one of a stranger, and is refused by whoever does not know it', async () => {
    const { ca, cert, key } = tls as Required<EtcdTls>
    expect(await codeOf({ tls: { ca }, ...login })).to.equal('PeerRejected')
    expect(await codeOf({ tls: { ...strangers, ca }, ...login })).to.equal('PeerRejected')
    expect(await codeOf({ tls: { cert, key }, ...login })).to.equal('PeerRejected')
    expect(await codeOf({ tls: strangers, ...login })).to.equal('PeerRejected')
  })

  it('is used though another member has a certificate that does not fit; if nobody has one that does, that is said', async () => {
    const address = `127.0.0.1:${(impostor.address() as AddressInfo).port}`
    const endpoints = [...cluster.endpoints, address]
    const refused: string[] = []
    const log = {
      info: () => undefined,
      error: ({ err }: { err?: Error }) => {
        if (err !== undefined) refused.push(err.message)
      },
    }
    expect(await codeOf({ tls, ...login, endpoints, log, openMs: 10_000 })).to.equal('none')
    expect(refused.filter((message) => !message.startsWith(`the certificates of ${address}`))).to.deep.equal(
      [],
    )
    expect(await codeOf({ tls, ...login, endpoints: [address, address] })).to.equal('PeerRejected')
  })

  it('is asked for a new token when it has forgotten the old one, and for the new certificates', async () => {
    let changed: EtcdTls | undefined
    const take = (): EtcdTls | undefined => {
      const taken = changed
      changed = undefined
      return taken
    }
    const { store } = await openEtcdSubject(cluster, { prefix: '/cairn/', tls, changedTls: take, ...login })
    await store.apply({ commits: [], always: [put('a', '1')] })
    await cluster.control(ROOT, 'auth', 'disable')
    await cluster.control('auth', 'enable')
    await store.read([])
    await store.apply({ commits: [], always: [put('a', '2')] })
    changed = { ...tls }
    while (changed !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
    await store.apply({ commits: [], always: [put('a', '3')] })
    await store.close()
    expect(await cluster.control(ROOT, 'get', '--print-value-only', '/cairn/0/a')).to.equal('3\n')
  })
})
