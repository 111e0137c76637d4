/** Data folders of earlier versions are read; files and rows of later ones are refused by name. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'chai'
import { checkFixture } from '../src/harness/data-folder-fixture.js'
import { removeFolder, temporaryFolder } from '../src/harness/folders.js'
import { run, runOk } from '../src/harness/run.js'
import { connectS3 } from '../src/harness/s3.js'
import { CAIRN, startServer } from '../src/harness/server.js'

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url))
const EXIT_DATA_FOLDER = 2

describe('a data folder', function () {
  this.timeout(120_000)
  let folder: string
  let dataDir: string

  async function unpack(name: string): Promise<void> {
    folder = await temporaryFolder('format')
    dataDir = join(folder, 'data')
    await runOk('tar', ['-C', folder, '-xzf', join(FIXTURES, name)])
  }

  afterEach(() => removeFolder(folder))

  for (const name of readdirSync(FIXTURES).filter((file) => file.endsWith('.tar.gz'))) {
    it(`of an earlier version is read to the last byte (${name})`, async () => {
      await unpack(name)
      const server = await startServer({ dataDir })
      const s3 = connectS3(server)
      try {
        expect(await checkFixture(s3)).to.deep.equal([])
      } finally {
        s3.destroy()
        await server.stop()
      }
    })

    it(`of an earlier version is recovered from its drives (${name})`, async () => {
      await unpack(name)
      await removeFolder(join(dataDir, 'metadata'))
      await runOk(process.execPath, [CAIRN, 'metadata', 'recover'], { env: { CAIRN_DATA_DIR: dataDir } })
      const server = await startServer({ dataDir })
      const s3 = connectS3(server)
      try {
        expect(await checkFixture(s3)).to.deep.equal([])
      } finally {
        s3.destroy()
        await server.stop()
      }
    })
  }

  /** Starts the server on the harmed folder and expects it to refuse. */
  async function expectRefusal(...words: readonly string[]): Promise<void> {
    const env = { CAIRN_DATA_DIR: dataDir, CAIRN_PORT: '0' }
    const { status, stderr } = await run(process.execPath, [CAIRN, 'start'], { env, timeoutMs: 60_000 })
    expect(status, stderr).to.equal(EXIT_DATA_FOLDER)
    for (const word of words) expect(stderr).to.contain(word)
  }

  function copies(): string {
    return join(dataDir, 'drives', '1', 'metadata')
  }

  it('with a newer cluster.json is refused', async () => {
    await unpack('data-folder-1.tar.gz')
    raiseJson(join(dataDir, 'cluster.json'))
    await expectRefusal(dataDir, 'format 99')
  })

  it('with a newer metadata store is refused', async () => {
    await unpack('data-folder-1.tar.gz')
    const path = join(dataDir, 'metadata', 'store.sqlite')
    const content = readFileSync(path)
    // `user_version` of a SQLite database: https://www.sqlite.org/fileformat.html#user_version_number
    content.writeUInt32BE(99, 60)
    writeFileSync(path, content)
    await expectRefusal('metadata store', 'format 99')
  })

  it('with a newer mark of a clean stop is refused', async () => {
    await unpack('data-folder-1.tar.gz')
    raiseJson(join(copies(), 'clean.json'))
    await expectRefusal('clean.json', 'format 99')
  })

  it('whose checkpoints are newer is not recovered by this version', async () => {
    await unpack('data-folder-1.tar.gz')
    await removeFolder(join(dataDir, 'metadata'))
    const name = readdirSync(copies()).find((file) => file.startsWith('checkpoint-')) ?? ''
    raiseHeader(join(copies(), name))
    const env = { CAIRN_DATA_DIR: dataDir }
    const { status, stderr } = await run(process.execPath, [CAIRN, 'metadata', 'recover'], { env })
    expect(status).to.equal(EXIT_DATA_FOLDER)
    expect(stderr).to.contain(name).and.to.contain('format 99')
  })

  it('whose journals are newer is refused', async () => {
    await unpack('data-folder-1.tar.gz')
    const names = readdirSync(copies())
    await removeFolder(join(copies(), 'clean.json'))
    const name = names.find((file) => file.startsWith('journal-')) ?? ''
    raiseHeader(join(copies(), name))
    await expectRefusal(name, 'format 99')
  })

  it('is not put back to a backup of a newer version', async () => {
    await unpack('data-folder-1.tar.gz')
    const env = { CAIRN_DATA_DIR: dataDir }
    const file = join(folder, 'backup')
    await runOk(process.execPath, [CAIRN, 'metadata', 'backup', file], { env })
    raiseHeader(file)
    const restore = ['metadata', 'restore', file, '--yes']
    const { status, stderr } = await run(process.execPath, [CAIRN, ...restore], { env })
    expect(status).to.equal(EXIT_DATA_FOLDER)
    expect(stderr).to.contain(file).and.to.contain('format 99')
  })
})

/** Puts format 99 into a small file, without the check that would call it damaged. */
function raiseJson(path: string): void {
  const { check: _, ...content } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  writeFileSync(path, JSON.stringify({ ...content, format: 99 }))
}

/** Puts format 99 into the header of a journal or checkpoint, with a right check. */
function raiseHeader(path: string): void {
  const content = readFileSync(path)
  content.writeUInt32LE(99, 8)
  content.writeUInt32LE(crc32c(content.subarray(0, 12)), 12)
  writeFileSync(path, content)
}

/** CRC32C bit by bit (RFC 3720, appendix B.4): shares no code with the product. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return (crc ^ 0xffff_ffff) >>> 0
}
