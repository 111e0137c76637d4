import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { LOCK_FILE, lockFolder } from '../../src/adapters/folder-lock.js'
import { temporaryFolder } from '../temporary-folder.js'

const lockUrl = new URL('../../src/adapters/folder-lock.js', import.meta.url).href

function codeOfLocking(path: string): string {
  try {
    lockFolder(path).release()
    return 'locked'
  } catch (error) {
    return error instanceof CairnError ? error.code : String(error)
  }
}

describe('lockFolder', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder()
  })
  afterEach(() => folder.remove())

  it('keeps a second owner out of the same process until it is released', () => {
    const lock = lockFolder(folder.path)
    expect(codeOfLocking(folder.path)).to.equal('DataFolderInUse')
    expect(codeOfLocking(folder.path)).to.equal('DataFolderInUse')
    lock.release()
    lock.release()
    expect(codeOfLocking(folder.path)).to.equal('locked')
  })

  it('is not kept out by junk in its file', () => {
    writeFileSync(join(folder.path, LOCK_FILE), Buffer.alloc(777, 'junk'))
    const lock = lockFolder(folder.path)
    expect(codeOfLocking(folder.path)).to.equal('DataFolderInUse')
    lock.release()
  })

  it('keeps another process out, and ends when its owner is killed', async () => {
    const script = `import(${JSON.stringify(lockUrl)}).then((m) => { globalThis.lock = m.lockFolder(process.argv[1]); process.stdout.write('held'); setInterval(() => {}, 1000) })`
    const owner = spawn(process.execPath, ['-e', script, folder.path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(owner.stdout, 'data')
    expect(codeOfLocking(folder.path)).to.equal('DataFolderInUse')
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    expect(codeOfLocking(folder.path)).to.equal('locked')
  })

  it('calls a folder that it cannot write a failed drive', () => {
    expect(codeOfLocking(join(folder.path, 'none'))).to.equal('DriveFailed')
  })
})
