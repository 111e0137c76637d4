import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lockFolder } from '@cairn/chunk-server'
import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import { requireYes, reset } from '../../src/commands/reset.js'
import { ConfigError, readConfig } from '../../src/config.js'
import { startCairn } from '../../src/index.js'

describe('cairn reset', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-reset-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function resetWith(dataDir: string, drives?: readonly string[]): readonly string[] {
    const list = drives === undefined ? {} : { CAIRN_DRIVES: drives.join(',') }
    return reset(readConfig({ argv: [], env: { CAIRN_DATA_DIR: dataDir, ...list } }).config)
  }

  async function makeCluster(name: string): Promise<string> {
    const dataDir = join(folder, name)
    await (await startCairn({ dataDir, port: 0, drives: { count: 1 } })).close()
    return dataDir
  }

  it('takes a missing --yes for a mistake of its caller, not for a failure', () => {
    const { config } = readConfig({ argv: [], env: {} })
    expect(() => requireYes(false, config)).to.throw(ConfigError, 'this removes all data: say so with --yes')
    expect(() => requireYes(true, config)).to.not.throw()
    const withEtcd = { ...config, etcd: ['127.0.0.1:1'], etcdPrefix: '/cairn/' }
    expect(() => requireYes(false, withEtcd)).to.throw(ConfigError, 'what etcd holds below /cairn/ stays')
  })

  it('leaves the store alone while a metadata service of its own holds it', async () => {
    const dataDir = await makeCluster('data')
    const lock = lockFolder(join(dataDir, 'metadata'))
    expect(() => resetWith(dataDir))
      .to.throw()
      .that.satisfies((error: unknown) => hasCode(error, 'DataFolderInUse'))
    lock.release()
    expect(existsSync(join(dataDir, 'metadata', 'store.sqlite'))).to.equal(true)
    expect(existsSync(join(dataDir, 'drives', '1', 'drive.json'))).to.equal(true)
    resetWith(dataDir)
    expect(existsSync(dataDir)).to.equal(false)
  })

  it('removes nothing if a folder of the list was never a drive', async () => {
    const dataDir = await makeCluster('data')
    const home = join(folder, 'home')
    mkdirSync(home)
    writeFileSync(join(home, 'letters.txt'), 'not ours')
    expect(() => resetWith(dataDir, [join(dataDir, 'drives', '1'), home])).to.throw(ConfigError, home)
    expect(readdirSync(home)).to.deep.equal(['letters.txt'])
    expect(existsSync(join(dataDir, 'drives', '1', 'drive.json'))).to.equal(true)
  })

  it('removes nothing if a drive of the list belongs to another cluster', async () => {
    const [ours, theirs] = [await makeCluster('ours'), await makeCluster('theirs')]
    const foreign = join(theirs, 'drives', '1')
    expect(() => resetWith(ours, [foreign])).to.throw(ConfigError, foreign)
    expect(existsSync(join(foreign, 'drive.json'))).to.equal(true)
    expect(existsSync(join(ours, 'metadata', 'store.sqlite'))).to.equal(true)
  })
})
