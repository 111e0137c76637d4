import { expect } from 'chai'
import { KEY_WAITERS_MAX, KeyLocks } from '../../../src/core/attempts/key-locks.js'
import { rejection } from '../../rejection.js'

const row = (text: string): Uint8Array => Buffer.from(text)

describe('KeyLocks', () => {
  it('runs tasks of one row one after another, in order, also behind one that fails', async () => {
    const locks = new KeyLocks()
    const log: string[] = []
    const task =
      (name: string, fails = false) =>
      async () => {
        log.push(`+${name}`)
        await Promise.resolve()
        log.push(`-${name}`)
        if (fails) throw new Error(name)
      }
    const failing = locks.run(row('k'), task('a', true)).catch((error: Error) => error.message)
    await Promise.all([locks.run(row('k'), task('b')), locks.run(row('k'), task('c'))])
    expect(await failing).to.equal('a')
    expect(log).to.deep.equal(['+a', '-a', '+b', '-b', '+c', '-c'])
    expect(locks.size).to.equal(0)
  })

  it('runs tasks of different rows side by side', async () => {
    const locks = new KeyLocks()
    let release: () => void = () => undefined
    const held = locks.run(row('a'), () => new Promise<void>((resolve) => (release = resolve)))
    expect(await locks.run(row('b'), async () => 1)).to.equal(1)
    release()
    await held
  })

  it('lets who asks in only while nobody else is, and others wait for him', async () => {
    const locks = new KeyLocks()
    const held = locks.tryEnter(row('k'))
    expect(held).to.not.equal(undefined)
    expect(locks.tryEnter(row('k'))).to.equal(undefined)
    let hasRun = false
    const waiting = locks.run(row('k'), async () => {
      hasRun = true
    })
    await Promise.resolve()
    expect(hasRun).to.equal(false)
    locks.leave(held ?? '')
    await waiting
    expect(hasRun).to.equal(true)
    expect(locks.tryEnter(row('k'))).to.equal(held)
  })

  it('refuses more waiters of one row than its limit', async () => {
    const locks = new KeyLocks()
    const tasks = Array.from({ length: KEY_WAITERS_MAX }, () => locks.run(row('k'), async () => 1))
    expect((await rejection(locks.run(row('k'), async () => 1))).code).to.equal('Busy')
    await Promise.all(tasks)
    expect(locks.size).to.equal(0)
  })
})
