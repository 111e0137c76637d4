import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { makeAuthority } from '../src/harness/certificates.js'
import { startCluster } from '../src/harness/cluster.js'
import { type EtcdCluster, hasEtcd, startEtcd } from '../src/harness/etcd.js'
import { compareTrees, hashTree, removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { run, runOk } from '../src/harness/run.js'
import { CAIRN, type Server, startServer } from '../src/harness/server.js'
import { hasTool } from '../src/harness/tools.js'
import { showEtcdCommits } from '../src/show/etcd-commits.js'
import { sample } from './acceptance/sample.js'

const FILES = 60
const POLL_MS = 200

describe('a server with its metadata in etcd', function () {
  this.timeout(180_000)
  let etcd: EtcdCluster
  let folder: string

  before(async function () {
    if (!(await hasEtcd())) return this.skip()
    etcd = await startEtcd({ members: 3 })
    folder = await temporaryFolder('on-etcd')
  })

  after(async () => {
    await etcd?.stop()
    if (folder !== undefined) await removeFolder(folder)
  })

  const start = (name: string): Promise<Server> =>
    startServer({
      dataDir: join(folder, name),
      env: { CAIRN_ETCD: etcd.endpoints.join(','), CAIRN_ETCD_PREFIX: `/${name}/` },
    })

  function exitOf(name: string, env: Record<string, string>): Promise<{ status: number; stderr: string }> {
    const data = { CAIRN_DATA_DIR: join(folder, name), CAIRN_PORT: '0', CAIRN_LOG_LEVEL: 'silent' }
    return run(process.execPath, [CAIRN, 'start'], { env: { ...data, ...env }, timeoutMs: 120_000 })
  }

  it('keeps a tree through the death of the leader and its own', async function () {
    if (!(await hasTool('aws'))) return this.skip()
    const [up, down] = [join(folder, 'up'), join(folder, 'down')]
    await runOk('mkdir', [up])
    for (let at = 0; at < FILES; at++)
      await writeFile(join(up, `file ${at}`), `content of ${at}`.repeat(at * 50))
    let server = await start('tree')
    const aws = (...args: string[]) =>
      runOk('aws', ['--endpoint-url', server.endpoint, ...args], { env: server.awsEnv })
    await aws('s3', 'mb', 's3://bucket')
    const uploading = aws('s3', 'sync', up, 's3://bucket/tree')
    const leader = await etcd.leader()
    await leader.kill()
    await uploading
    leader.restart()
    await server.kill()
    server = await start('tree')
    await aws('s3', 'sync', 's3://bucket/tree', down)
    expect(compareTrees(await hashTree(up), await hashTree(down))).to.deep.equal([])
    await aws('s3', 'rb', '--force', 's3://bucket')
    expect(await server.stop()).to.equal(0)
  })

  it('is refused a start over drives whose metadata is not in etcd', async () => {
    const server = await start('elsewhere')
    await server.stop()
    const local = await startServer({ dataDir: join(folder, 'local') })
    await local.stop()
    const refused = await exitOf('local', { CAIRN_ETCD: etcd.endpoints.join(',') })
    expect([refused.status, refused.stderr]).to.satisfy(
      ([status, said]: [number, string]) => status === 2 && said.includes('etcd holds nothing'),
    )
  })

  it('ends with status 1 when etcd refuses its password or its certificate', async () => {
    const authority = await makeAuthority(folder)
    const member = await authority.issue('member')
    const secure = await startEtcd({ certificates: { caFile: authority.caFile, ...member } })
    try {
      const places = { CAIRN_ETCD: secure.endpoints.join(','), CAIRN_ETCD_CA: authority.caFile }
      expect((await exitOf('no-certificate', places)).status).to.equal(1)
      const shown = { ...places, CAIRN_ETCD_CERT: member.certFile, CAIRN_ETCD_KEY: member.keyFile }
      await secure.control('user', 'add', 'root:right')
      await secure.control('user', 'grant-role', 'root', 'root')
      await secure.control('auth', 'enable')
      const wrong = await exitOf('password', {
        ...shown,
        CAIRN_ETCD_USER: 'root',
        CAIRN_ETCD_PASSWORD: 'wrong',
      })
      expect([wrong.status, /authentication failed/.test(wrong.stderr)]).to.deep.equal([1, true])
    } finally {
      await secure.stop()
    }
  })

  it('ends with status 4 when there is no etcd', async () => {
    const ended = await exitOf('alone', { CAIRN_ETCD: '127.0.0.1:1' })
    expect([ended.status, /no answer from 127\.0\.0\.1:1/.test(ended.stderr)]).to.deep.equal([4, true])
  })

  it('says of each role whether it is ready, with etcd stopped and going on', async () => {
    const env = { CAIRN_ETCD: etcd.endpoints.join(','), CAIRN_ETCD_PREFIX: '/ready/', CAIRN_REPLICAS: '1' }
    const cluster = await startCluster({ folder: join(folder, 'ready'), env, chunkServers: 1, gateways: 1 })
    const [chunk, gateway] = [cluster.chunkServers[0], cluster.gateways[0]]
    const places = [cluster.metadata.httpEndpoint, chunk?.httpEndpoint, gateway?.endpoint]
    const ask = (path: string): Promise<number[]> =>
      Promise.all(places.map(async (place) => (await fetch(`${place}/-/health/${path}`)).status))
    const becomes = async (wanted: readonly number[]): Promise<void> => {
      for (;;) {
        if ((await ask('ready')).join() === wanted.join()) return
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
    }
    try {
      await becomes([200, 200, 200])
      for (const each of etcd.members) await each.pause()
      // A chunk server serves reads by what it knows.
      await becomes([503, 200, 503])
      expect(await ask('live')).to.deep.equal([200, 200, 200])
      for (const each of etcd.members) each.resume()
      await becomes([200, 200, 200])
    } finally {
      for (const each of etcd.members) each.resume()
      await cluster.stop()
    }
  })

  it('shares etcd entries between many writers', () =>
    sample((report) => showEtcdCommits(report, { members: [1], writers: [64], seconds: 1 })))
})
