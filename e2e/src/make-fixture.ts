/**
 * Makes the data folder that later versions must be able to open: `node e2e/dist/src/make-fixture.js NUMBER` writes
 * `e2e/fixtures/data-folder-NUMBER.tar.gz`. Run once for each format of the data folder, and keep every one.
 */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fillFixture } from './harness/data-folder-fixture.js'
import { removeFolder, temporaryFolder } from './harness/folders.js'
import { runOk } from './harness/run.js'
import { connectS3 } from './harness/s3.js'
import { startServer } from './harness/server.js'

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url))

const number = process.argv[2] ?? ''
if (!/^\d+$/.test(number)) throw new Error('which number shall the data folder have?')
const file = join(FIXTURES, `data-folder-${number}.tar.gz`)
if (existsSync(file)) throw new Error(`${file} is there, and is kept as it is`)
mkdirSync(FIXTURES, { recursive: true })
const folder = await temporaryFolder('fixture')
const server = await startServer({ dataDir: join(folder, 'data') })
const s3 = connectS3(server)
await fillFixture(s3)
s3.destroy()
await server.stop()
await runOk('tar', ['-C', folder, '--sort=name', '-czf', file, 'data'], { env: { GZIP: '-9' } })
await removeFolder(folder)
