import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { lockFolder } from '@cairn/chunk-server'
import { createNetwork, createRouter, systemClock, systemRandom } from '@cairn/protocol'
import { Sqlite } from '@cairn/protocol/sqlite'
import { expect } from 'chai'
import { SERVER_LOCK_FILE } from '../../src/data-folder.js'
import { startCairn } from '../../src/index.js'

const BIN = fileURLToPath(new URL('../../../bin/cairn.js', import.meta.url))

/** Resolves once the log has this. */
async function said({ stderr }: ChildProcess, text: string): Promise<void> {
  let log = ''
  for await (const bytes of stderr ?? []) {
    log += bytes
    if (log.includes(text)) break
  }
}

/** How it ended, and what it had told until then. */
async function endOf(started: ChildProcess): Promise<{ ended: unknown[]; told: string }> {
  let told = ''
  started.stderr?.on('data', (text) => {
    told += text
  })
  return { ended: await once(started, 'close'), told }
}

describe('cairn start', () => {
  let folder: string
  let child: ChildProcess | undefined

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-start-'))
  })

  afterEach(() => {
    child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  it('lets no other user read its files, also in folders that others made', async () => {
    const drive = join(folder, 'drive')
    mkdirSync(drive, { mode: 0o755 })
    child = spawn(process.execPath, [BIN, 'start'], {
      env: { PATH: process.env.PATH, CAIRN_DATA_DIR: folder, CAIRN_DRIVES: drive, CAIRN_PORT: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    // What the drives have then is enough for `metadata recover`.
    await said(child, 'metadata checkpoint made')
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    expect(files.length).to.be.greaterThan(5)
    const open = files.filter((file) => (statSync(join(file.parentPath, file.name)).mode & 0o077) !== 0)
    expect(open.map((file) => file.name)).to.deep.equal([])
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).to.deep.equal([0, null])
    const env = { PATH: process.env.PATH, CAIRN_DATA_DIR: folder, CAIRN_DRIVES: drive }
    child = spawn(process.execPath, [BIN, 'metadata', 'recover'], { env, stdio: 'ignore' })
    expect(await once(child, 'exit')).to.deep.equal([0, null])
    expect(statSync(join(folder, 'metadata', 'store.sqlite')).mode & 0o077, 'made anew').to.equal(0)
  }).timeout(60_000)

  it('says how to mend a store in which a row is damaged that the start itself needs', async () => {
    await (await startCairn({ port: 0, dataDir: folder, drives: { count: 1 } })).close()
    const database = new Sqlite(join(folder, 'metadata', 'store.sqlite'))
    const changed = database
      .prepare(
        "UPDATE rows SET value = CAST(value || x'00' AS BLOB) WHERE CAST(key AS TEXT) = 'l/metadata-1'",
      )
      .run()
    database.close()
    expect(changed.changes).to.equal(1)
    const started = spawn(process.execPath, [BIN, 'start'], {
      env: { PATH: process.env.PATH, CAIRN_DATA_DIR: folder, CAIRN_DRIVES: '1', CAIRN_PORT: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child = started
    const { ended, told } = await endOf(started)
    expect(ended).to.deep.equal([2, null])
    expect(told).to.include('bring it back with "cairn metadata recover"')
  }).timeout(60_000)

  it('starts no second chunk server in a data folder: both would go by the id that lies there', async () => {
    const lock = lockFolder(folder, SERVER_LOCK_FILE)
    const started = spawn(process.execPath, [BIN, 'start', '--role', 'chunk'], {
      env: {
        PATH: process.env.PATH,
        CAIRN_DATA_DIR: folder,
        CAIRN_DRIVES: join(folder, 'another'),
        CAIRN_METADATA: '127.0.0.1:1',
        CAIRN_CLUSTER_SECRET: 'only for this test, of 32 bytes, or more',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child = started
    const { ended, told } = await endOf(started)
    expect(ended).to.deep.equal([2, null])
    lock.release()
    expect(told).to.include(folder)
    expect(existsSync(join(folder, 'another'))).to.equal(false)
  }).timeout(30_000)

  it('ends when a drive is there twice, and names both folders', async () => {
    const [drive, copy] = ['drive', 'copy'].map((name) => join(folder, name)) as [string, string]
    const env = { PATH: process.env.PATH, CAIRN_DATA_DIR: folder, CAIRN_PORT: '0' }
    child = spawn(process.execPath, [BIN, 'start'], {
      env: { ...env, CAIRN_DRIVES: drive },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await said(child, 'metadata checkpoint made')
    child.kill('SIGTERM')
    await once(child, 'exit')
    cpSync(drive, copy, { recursive: true })
    const started = spawn(process.execPath, [BIN, 'start'], {
      env: { ...env, CAIRN_DRIVES: `${drive},${copy}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    child = started
    const { ended, told } = await endOf(started)
    expect(ended).to.deep.equal([2, null])
    expect(told).to.include(`${drive} and ${copy} are both drive`)
  }).timeout(30_000)

  for (const role of ['chunk', 'gateway']) {
    it(`ends a ${role} at once whose secret is another than the cluster's`, async () => {
      const network = createNetwork({ clock: systemClock, random: systemRandom })
      const identity = { role: 'metadata', name: 'metadata-1', clusterId: 'c1', featureLevel: 1 }
      const clusterSecret = Buffer.from('the secret of the cluster, 32 bytes or more')
      const listener = await network.listen('127.0.0.1:0', createRouter(), { ...identity, clusterSecret })
      const started = spawn(process.execPath, [BIN, 'start', '--role', role], {
        env: {
          PATH: process.env.PATH,
          CAIRN_DATA_DIR: folder,
          CAIRN_METADATA: listener.address,
          CAIRN_CLUSTER_SECRET: 'only for this test, of 32 bytes, or more',
        },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      child = started
      const { ended, told } = await endOf(started)
      expect(ended).to.deep.equal([1, null])
      await listener.close(0)
      expect(told).to.include('CAIRN_CLUSTER_SECRET')
    }).timeout(20_000)
  }
})
