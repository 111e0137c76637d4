import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { startCluster } from '../src/harness/cluster.js'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { type RunResult, run } from '../src/harness/run.js'
import { CAIRN, type Server, startServer } from '../src/harness/server.js'

const LATE_MS = 8_000

/** Of `cairn node list --json`. */
interface NodeShown {
  readonly id: string
  readonly drives: readonly { readonly id: string; readonly state: string; readonly positions: number }[]
}

/** Runs `cairn` to its end. */
function cairn(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunResult> {
  return run(process.execPath, [CAIRN, ...args], { env, timeoutMs: 120_000 })
}

/** What docs/operations.md promises of the command itself. */
describe('the cairn command', function () {
  this.timeout(180_000)
  let folder: string
  let dataDir: string
  let server: Server
  let port: string

  before(async () => {
    folder = await temporaryFolder('command')
    dataDir = join(folder, 'data')
    server = await startServer({ dataDir })
    port = new URL(server.endpoint).port
  })

  after(async () => {
    await server.stop()
    await removeFolder(folder)
  })

  it('tells its access key and endpoint, and keeps the secret to a file', () => {
    const root = JSON.parse(readFileSync(join(dataDir, 'root.json'), 'utf8'))
    expect(server.output()).to.equal(`Access key: ${root.accessKey}\nS3 endpoint: ${server.endpoint}\n`)
    expect(server.output() + server.log()).to.not.contain(root.secretKey)
    expect(readFileSync(join(dataDir, 'run', 'all-1.pid'), 'utf8')).to.equal(`${server.pid}\n`)
  })

  it('is healthy, and exits 1 for a server that is not there', async () => {
    expect((await cairn(['health', '--port', port])).status).to.equal(0)
    expect((await cairn(['wait', '--healthy', '--timeout', '60', '--port', port])).status).to.equal(0)
    expect((await cairn(['wait', '--healthy', '--timeout', '0', '--port', '1'])).status).to.equal(1)
  })

  it('prints the exports that AWS tools need', async () => {
    const { status, stdout } = await cairn(['env', '--data-dir', dataDir, '--port', port])
    expect(status).to.equal(0)
    expect(stdout.toString()).to.contain(`export AWS_ACCESS_KEY_ID=${server.accessKey}\n`)
    expect(stdout.toString()).to.contain(`export AWS_SECRET_ACCESS_KEY=${server.secretKey}\n`)
    expect(stdout.toString()).to.contain(`export AWS_ENDPOINT_URL=${server.endpoint}\n`)
  })

  it('exports nothing of a server that never was', async () => {
    const { status, stdout, stderr } = await cairn(['env', '--data-dir', join(folder, 'none')])
    expect([status, stdout.toString()]).to.deep.equal([1, ''])
    expect(stderr).to.match(/none holds no root.json: start the server first/)
    expect((await cairn(['status', '--data-dir', join(folder, 'none')])).status).to.equal(1)
    expect(existsSync(join(folder, 'none'))).to.equal(false)
  })

  it('exits 1 and lists every mistake of its configuration', async () => {
    const wrong = await cairn(['start'], { CAIRN_PORT: 'x', CAIRN_DRIVES: 'a,,b' })
    expect(wrong.status).to.equal(1)
    expect(wrong.stderr).to.match(/CAIRN_PORT.*\n.*CAIRN_DRIVES/)
  })

  it('says all it has to say into a pipe', async () => {
    // More than a pipe of the shell holds (64 KiB), so that some of it waits when the command ends.
    const name = `no-such-${'x'.repeat(120_000)}`
    const script = '"$0" "$1" start "--$2" 2>&1 | cat'
    const { stdout } = await run('sh', ['-c', script, process.execPath, CAIRN, name])
    expect(stdout.toString()).to.include(name)
  })

  it('exits 2 for a data folder in use, and 3 for a port in use', async () => {
    const used = await cairn(['start', '--data-dir', dataDir, '--port', '0'])
    expect([used.status, used.stderr]).to.satisfy(
      ([status, text]: [number, string]) => status === 2 && text.includes(dataDir),
    )
    const taken = await cairn(['start', '--data-dir', join(folder, 'other'), '--port', port])
    expect(taken.status).to.equal(3)
  })

  it('removes no data without --yes, nor under a running server', async () => {
    expect((await cairn(['reset', '--data-dir', dataDir])).status).to.equal(1)
    expect((await cairn(['reset', '--yes', '--data-dir', dataDir])).status).to.equal(2)
    expect(existsSync(join(dataDir, 'root.json'))).to.equal(true)
  })

  it('ends with 0 on SIGTERM, each role, also when no metadata service is left', async () => {
    const cluster = await startCluster({ folder: join(folder, 'apart'), chunkServers: 3, gateways: 1 })
    try {
      await cluster.metadata.kill()
      const others = [...cluster.gateways, ...cluster.chunkServers]
      expect(await Promise.all(others.map((other) => other.stop()))).to.deep.equal(others.map(() => 0))
    } finally {
      await cluster.stop()
    }
  })

  it('waits for a metadata service that starts last', async () => {
    const cluster = await startCluster({ folder: join(folder, 'late'), chunkServers: 1, gateways: 1 })
    const [gateway, chunkServer] = [cluster.gateways[0], cluster.chunkServers[0]] as [Server, Server]
    try {
      await Promise.all([cluster.metadata, gateway, chunkServer].map((one) => one.kill()))
      // Longer than a client tries by itself to reach one.
      const late = new Promise((resolve) => setTimeout(resolve, LATE_MS)).then(() => cluster.metadata.again())
      const back = await Promise.all([late, gateway.again(), chunkServer.again()])
      expect(await Promise.all(back.map((one) => one.stop()))).to.deep.equal([0, 0, 0])
    } finally {
      await cluster.stop()
    }
  })

  it('replaces a node by a new one, and uses a drive again, where none is used without a word', async () => {
    const ownDir = join(folder, 'moves')
    const env = { CAIRN_REBALANCE: 'command', CAIRN_GC_GRACE_SECONDS: '1' }
    const drives = ['1', '2', '3', '4'].map((name) => join(folder, 'moving', name))
    const first = await startServer({ dataDir: ownDir, env, args: ['--drives', drives.slice(0, 3).join()] })
    const ask = (on: Server, ...words: string[]): Promise<RunResult> =>
      cairn([...words, '--json', '--data-dir', ownDir, '--port', new URL(on.endpoint).port])
    const nodes = async (on: Server): Promise<NodeShown[]> =>
      JSON.parse((await ask(on, 'node', 'list')).stdout.toString())
    const before = (await nodes(first)).map(({ id }) => id)
    await first.stop()
    const own = await startServer({ dataDir: ownDir, env, args: ['--drives', drives.join()] })
    try {
      const after = (await nodes(own)).map(({ id }) => id)
      const [old = ''] = before
      const by = after.find((id) => !before.includes(id)) ?? ''
      const replaced = await ask(own, 'node', 'replace', old, by, '--wait')
      expect(replaced.status, replaced.stderr).to.equal(0)
      const [emptied] = (await nodes(own)).find(({ id }) => id === old)?.drives ?? []
      expect(emptied).to.include({ state: 'out', positions: 0 })
      const added = await ask(own, 'drive', 'add', emptied?.id ?? '', '--wait')
      expect(added.status, added.stderr).to.equal(0)
      expect((await ask(own, 'node', 'add', old)).status, 'twice is once').to.equal(0)
      for (const { drives: held } of await nodes(own)) expect(held[0]?.positions).to.be.greaterThan(0)
      const unknown = await ask(own, 'drive', 'add', 'none')
      expect([unknown.status, unknown.stderr]).to.satisfy(
        ([status, text]: [number, string]) => status === 1 && text.includes('CAIRN_DRIVES'),
      )
    } finally {
      await own.stop()
    }
  })

  it('ends with 0 on SIGTERM, and reset then leaves nothing', async () => {
    const ownDir = join(folder, 'own')
    const own = await startServer({ dataDir: ownDir })
    expect(await own.stop()).to.equal(0)
    expect(readdirSync(join(ownDir, 'run'))).to.deep.equal([])
    expect((await cairn(['reset', '--yes', '--data-dir', ownDir])).status).to.equal(0)
    expect(existsSync(ownDir)).to.equal(false)
  })
})
