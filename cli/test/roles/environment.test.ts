import { expect } from 'chai'
import { Closers, openOrClose } from '../../src/roles/environment.js'
import { errorOf } from '../error-of.js'

describe('what a role has opened', () => {
  it('is closed in reverse, once, though one of it fails', async () => {
    const closers = new Closers()
    const closed: number[] = []
    const broken = new Error('a pid file on a read-only disk')
    closers.add(() => void closed.push(1))
    closers.add(() => {
      throw broken
    })
    closers.add(() => void closed.push(3))
    expect(await errorOf(closers.close())).to.equal(broken)
    await errorOf(closers.close())
    expect(closed).to.deep.equal([3, 1])
  })

  it('is closed at once when it comes after the end', async () => {
    const closers = new Closers()
    await closers.close()
    let isClosed = false
    closers.add(() => {
      isClosed = true
    })
    expect(isClosed).to.equal(true)
  })

  it('is closed when the opening fails, whose error is told', async () => {
    const reason = new Error('no port')
    let isClosed = false
    const opening = openOrClose(async (closers) => {
      closers.add(() => {
        isClosed = true
        throw new Error('cannot be closed')
      })
      throw reason
    })
    expect(await errorOf(opening)).to.equal(reason)
    expect(isClosed).to.equal(true)
  })
})
