import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { openDriveFolder, placeOf } from '../../src/adapters/drive-folder.js'
import { codeOf } from '../conformance/blocks.js'
import { temporaryFolder } from '../temporary-folder.js'

describe('openDriveFolder', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder()
  })
  afterEach(() => folder.remove())
  const options = { durability: 'fsync' } as const

  it('makes missing folders for their owner alone and locks the drive', async () => {
    const path = join(folder.path, 'drives', '1')
    const opened = await openDriveFolder(path, options)
    expect(statSync(path).mode & 0o777).to.equal(0o700)
    expect(await codeOf(openDriveFolder(path, options))).to.equal('DataFolderInUse')
    opened.lock.release()
    ;(await openDriveFolder(path, options)).lock.release()
  })

  it('says where the folder lies, the same when it is emptied in place', async () => {
    const path = join(folder.path, 'a')
    mkdirSync(path)
    const before = await placeOf(path)
    const parent = statSync(folder.path)
    expect(before.parent).to.equal(`${parent.dev}:${parent.ino}`)
    expect(before.device).to.equal(String(statSync(path).dev))
    rmSync(path, { recursive: true })
    mkdirSync(path)
    expect(await placeOf(path)).to.deep.equal(before)
  })

  it('calls a file where the folder should be a failed drive', async () => {
    writeFileSync(join(folder.path, 'file'), '')
    expect(await codeOf(openDriveFolder(join(folder.path, 'file'), options))).to.equal('DriveFailed')
  })
})
