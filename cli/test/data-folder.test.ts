import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { ConfigError } from '../src/config.js'
import { loadClusterFile, loadRootCredentials, makeFolder, writePidFile } from '../src/data-folder.js'

const random = createSeededRandom(1)

describe('data folder', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-data-'))
  })

  it('is made with all folders above it, for its owner alone, and taken as it is afterwards', () => {
    const path = join(folder, 'a', 'b', 'c')
    for (let time = 0; time < 2; time++) makeFolder(path)
    expect(statSync(path).mode & 0o777).to.equal(0o700)
  })

  it('makes root keys once, readable by the owner alone', () => {
    const made = loadRootCredentials(folder, random)
    expect(loadRootCredentials(folder, random)).to.deep.equal(made)
    expect(JSON.parse(readFileSync(join(folder, 'root.json'), 'utf8'))).to.deep.equal(made)
    expect(statSync(join(folder, 'root.json')).mode & 0o777).to.equal(0o600)
  })

  it('keeps cluster id and secret, and refuses a newer format or a damaged file', () => {
    const made = loadClusterFile(folder, random)
    expect(loadClusterFile(folder, random)).to.deep.equal(made)
    writeFileSync(join(folder, 'cluster.json'), JSON.stringify({ ...made, format: 99 }))
    expect(() => loadClusterFile(folder, random))
      .to.throw()
      .with.property('code', 'FormatTooNew')
    writeFileSync(join(folder, 'cluster.json'), '{')
    expect(() => loadClusterFile(folder, random)).to.throw(ConfigError, 'is damaged')
  })

  it('makes a lost or damaged cluster file anew from what the drives say', () => {
    const { clusterId } = loadClusterFile(folder, random)
    const path = join(folder, 'cluster.json')
    const drives = ['1', '2', '3'].map((name) => join(folder, name))
    for (const drive of drives) mkdirSync(drive)
    for (const drive of drives.slice(0, 2)) {
      writeFileSync(join(drive, 'drive.json'), JSON.stringify({ clusterId }))
    }
    writeFileSync(path, readFileSync(path, 'utf8').replace('"format": 1', '"format": 9'))
    expect(loadClusterFile(folder, random, drives).clusterId).to.equal(clusterId)
    rmSync(path)
    expect(loadClusterFile(folder, random, drives).clusterId).to.equal(clusterId)
    writeFileSync(path, '{')
    expect(() => loadClusterFile(folder, random, drives.slice(2))).to.throw(
      ConfigError,
      `delete ${path} if nothing is stored here`,
    )
  })

  it('says how to go on without the root keys', () => {
    writeFileSync(join(folder, 'root.json'), '{"accessKey": "A"')
    expect(() => loadRootCredentials(folder, random)).to.throw(`delete ${join(folder, 'root.json')} to get`)
  })

  it('numbers pid files by the processes that are alive', () => {
    const remove = writePidFile(folder, 'all')
    expect(readFileSync(join(folder, 'run', 'all-1.pid'), 'utf8')).to.equal(`${process.pid}\n`)
    writeFileSync(join(folder, 'run', 'chunk-1.pid'), '1\n')
    writePidFile(folder, 'chunk')
    expect(readFileSync(join(folder, 'run', 'chunk-2.pid'), 'utf8')).to.equal(`${process.pid}\n`)
    remove()
    expect(() => statSync(join(folder, 'run', 'all-1.pid'))).to.throw('ENOENT')
  })
})
