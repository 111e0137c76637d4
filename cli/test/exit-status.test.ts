import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { exitStatusOf, wordsOf } from '../src/exit-status.js'

/** What listening there fails with. */
function listenError(host: string): Promise<Error> {
  return new Promise((resolve) => createServer().once('error', resolve).listen(0, host))
}

describe('the end of a command by an error', () => {
  it('is 2 where a folder cannot be made, be it the error or its cause, and 1 for a wrong address', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cairn-exit-'))
    try {
      writeFileSync(join(folder, 'file'), '')
      const error = (() => {
        try {
          return mkdirSync(join(folder, 'file', 'data'), { recursive: true })
        } catch (cause) {
          return cause
        }
      })()
      expect(exitStatusOf(error)).to.equal(2)
      expect(exitStatusOf(new CairnError('DriveFailed', 'cannot open it', { cause: error }))).to.equal(2)
      expect(exitStatusOf(await listenError('192.0.2.1'))).to.equal(1)
      const noPort = Object.assign(new Error('listen EACCES'), { code: 'EACCES', syscall: 'listen' })
      expect(exitStatusOf(noPort)).to.equal(1)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('says where in the code it came from only if nobody has foreseen it', () => {
    expect(wordsOf(new CairnError('ConnectionLost', 'nobody answers'))).to.equal('nobody answers')
    expect(wordsOf(new CairnError('Internal', 'that cannot be'))).to.contain('exit-status.test')
    expect(wordsOf(new TypeError('x is undefined'))).to.contain('exit-status.test')
    expect(wordsOf('text')).to.equal('text')
  })
})
