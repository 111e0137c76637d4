import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { metadata } from '../src/commands/metadata.js'
import { ConfigError, readConfig } from '../src/config.js'
import { assertAllowed, assertOwner } from '../src/owners.js'
import { MetadataError } from '../src/roles/metadata-error.js'

const SOMEBODY = 65_534
const isRoot = process.geteuid?.() === 0

describe('files of a server', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-owners-'))
    chmodSync(folder, 0o755)
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const configOf = (dataDir: string) => readConfig({ argv: [], env: { CAIRN_DATA_DIR: dataDir } }).config

  /** A user who is bound by the bits of files, as root is not. */
  function asSomebody(act: () => void): void {
    if (isRoot) process.seteuid?.(SOMEBODY)
    try {
      act()
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  }

  it('of another user are not replaced by root, whose files that user could not open', async () => {
    const made = join(folder, 'metadata')
    mkdirSync(made)
    if (isRoot) chownSync(made, SOMEBODY, SOMEBODY)
    expect(() => assertOwner(configOf(folder), 0)).to.throw(ConfigError, 'run this as its owner')
    expect(() => assertOwner(configOf(folder), 1234)).to.not.throw()
    expect(() => assertOwner(configOf(join(folder, 'none')), 0)).to.not.throw()
    if (!isRoot) return
    const flags = { yes: false, toEtcd: false, resume: false, undo: false, json: false }
    const command = { action: 'recover', file: undefined, ...flags }
    const refused = await metadata(configOf(folder), command, () => undefined).catch((error) => error)
    expect(refused).to.be.instanceOf(ConfigError)
  })

  it('that root has made in a folder of anybody are its own', () => {
    if (!isRoot) return
    mkdirSync(join(folder, 'metadata'))
    chownSync(folder, SOMEBODY, SOMEBODY)
    expect(() => assertOwner(configOf(folder), 0)).to.not.throw()
  })

  it('that may not be opened are named, with no advice to make them anew', () => {
    const path = join(folder, 'store.sqlite')
    writeFileSync(path, '')
    chmodSync(path, 0)
    asSomebody(() => {
      expect(() => assertAllowed([join(folder, 'absent'), path]))
        .to.throw(MetadataError, path)
        .that.satisfies((error: Error) => /EACCES/.test(error.message) && !/recover/.test(error.message))
    })
  })
})
