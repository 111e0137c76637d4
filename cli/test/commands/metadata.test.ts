import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expect } from 'chai'
import { metadata } from '../../src/commands/metadata.js'
import { readConfig } from '../../src/config.js'
import { startCairn } from '../../src/index.js'

function checkpointOf(drive: string): string | undefined {
  const folder = join(drive, 'metadata')
  return existsSync(folder) ? readdirSync(folder).find((name) => /^checkpoint-\d+$/.test(name)) : undefined
}

describe('cairn metadata', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-metadata-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** A cluster that was used and closed; its folder. */
  async function makeCluster(name: string, count: number): Promise<string> {
    const dataDir = join(folder, name)
    const server = await startCairn({ dataDir, port: 0, drives: { count } })
    for (let at = 1; at <= count; at++) {
      while (checkpointOf(join(dataDir, 'drives', `${at}`)) === undefined) await setImmediate()
    }
    await server.close()
    return dataDir
  }

  async function act(
    env: Record<string, string>,
    command: { action: string; file: string | undefined },
  ): Promise<readonly string[]> {
    const said: string[] = []
    const flags = { yes: false, toEtcd: false, resume: false, undo: false, json: false }
    await metadata(readConfig({ argv: [], env }).config, { ...command, ...flags }, (line) => said.push(line))
    return said
  }

  const recover = (env: Record<string, string>): Promise<readonly string[]> =>
    act(env, { action: 'recover', file: undefined })

  it('takes a backup of a running server, but none while no journal follows it', async () => {
    const dataDir = join(folder, 'running')
    const server = await startCairn({ dataDir, port: 0, drives: { count: 1 }, logLevel: 'silent' })
    const mark = join(dataDir, 'metadata', 'unfollowed')
    const backup = (name: string): Promise<string> => {
      const env = { CAIRN_DATA_DIR: dataDir, CAIRN_DRIVES: '1' }
      return act(env, { action: 'backup', file: join(folder, name) }).then(String, String)
    }
    try {
      while (existsSync(mark)) await setImmediate()
      expect(await backup('before')).to.match(/bytes, as of/)
      // No other checkpoint can be made, and the one that is there is soon of the past.
      const drive = join(dataDir, 'drives', '1')
      const checkpoint = join(drive, 'metadata', checkpointOf(drive) ?? '')
      mkdirSync(join(drive, 'metadata', 'checkpoint.new'))
      renameSync(checkpoint, `${checkpoint}.away`)
      while (!existsSync(mark)) await setImmediate()
      renameSync(`${checkpoint}.away`, checkpoint)
      expect(await backup('meanwhile')).to.include('no journal follows the running server')
      expect(existsSync(join(folder, 'meanwhile'))).to.equal(false)
    } finally {
      await server.close()
    }
  }).timeout(60_000)

  it('says that copies are of the past when the server went on without journals', async () => {
    for (const [name, bare] of Object.entries({
      off: { journal: 'off' },
      none: { durability: 'none' },
    } as const)) {
      const dataDir = await makeCluster(name, 2)
      await (await startCairn({ dataDir, port: 0, drives: { count: 2 }, ...bare })).close()
      rmSync(join(dataDir, 'metadata'), { recursive: true })
      const said = (await recover({ CAIRN_DATA_DIR: dataDir, CAIRN_DRIVES: '2' })).join('\n')
      expect(said).to.include('the server went on without journals')
      expect(said).to.not.include('everything is back')
    }
  }).timeout(30_000)

  it('recovers from the copies of most drives when the cluster file is lost with the store', async () => {
    const ours = await makeCluster('ours', 2)
    const theirs = await makeCluster('theirs', 1)
    const foreign = join(theirs, 'drives', '1')
    const later = join(foreign, 'metadata', 'checkpoint-0000000000999999')
    renameSync(join(foreign, 'metadata', checkpointOf(foreign) ?? ''), later)
    rmSync(join(ours, 'metadata'), { recursive: true })
    rmSync(join(ours, 'cluster.json'))
    const drives = [foreign, join(ours, 'drives', '1'), join(ours, 'drives', '2')]
    const env = { CAIRN_DATA_DIR: ours, CAIRN_DRIVES: drives.join(',') }
    const said = await recover(env)
    expect(said[0]).to.match(new RegExp(`^checkpoint ${join(ours, 'drives')}`))
    expect(existsSync(join(ours, 'metadata', 'store.sqlite'))).to.equal(true)
  }).timeout(30_000)

  it('moves to etcd unless told to undo that, and says what it needs', async () => {
    const { config } = readConfig({ argv: [], env: { CAIRN_DATA_DIR: folder } })
    const withEtcd = { ...config, etcd: ['127.0.0.1:1'] }
    const migrate = async (flags: object, at = config): Promise<string> => {
      const command = { action: 'migrate', file: undefined, yes: false, toEtcd: false, resume: false }
      const all = { ...command, undo: false, json: false, ...flags }
      return metadata(at, all, () => undefined).then(() => 'done', String)
    }
    for (const flags of [{}, { toEtcd: true }, { resume: true }]) {
      expect(await migrate(flags)).to.match(/^ConfigError: .*CAIRN_ETCD/)
      expect(await migrate(flags, withEtcd)).to.include(`no metadata store at ${folder}`)
    }
    expect(await migrate({ toEtcd: true, undo: true }, withEtcd)).to.match(/^ConfigError: .*say one of them/)
  })
})
