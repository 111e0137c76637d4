import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'

const BIN = fileURLToPath(new URL('../../../bin/cairn.js', import.meta.url))

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
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    await once(child.stdout ?? child, 'data')
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )
    expect(files.length).to.be.greaterThan(5)
    const open = files.filter((file) => (statSync(join(file.parentPath, file.name)).mode & 0o077) !== 0)
    expect(open.map((file) => file.name)).to.deep.equal([])
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).to.deep.equal([0, null])
  }).timeout(30_000)
})
