import { type Clock, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'

/** The process clock, moved on by hand. */
function shiftedClock(): Clock & { shiftMs: number } {
  const clock = {
    ...systemClock,
    shiftMs: 0,
    monotonicMs: (): number => systemClock.monotonicMs() + clock.shiftMs,
  }
  return clock
}

async function codeOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => 'none',
    (error: { code: string }) => error.code,
  )
}

describe('leases of etcd', function () {
  this.timeout(60_000)
  const cluster = useEtcd()

  it('have ended by our own clock when etcd cannot be asked, and not before', async () => {
    const clock = shiftedClock()
    const { store } = await openEtcdSubject(cluster(), { clock, attemptMs: 200, totalMs: 200 })
    const lease = await store.grantLease(30_000)
    await cluster().members[0]?.pause()
    try {
      expect(await codeOf(store.renewLease(lease))).to.equal('Busy')
      clock.shiftMs += 30_000
      expect(await codeOf(store.renewLease(lease))).to.equal('SessionExpired')
    } finally {
      cluster().members[0]?.resume()
    }
    await store.close()
  })

  it('live as long as any service renews them', async () => {
    const clock = shiftedClock()
    const one = await openEtcdSubject(cluster(), { clock })
    const two = await openEtcdSubject(cluster(), { prefix: one.prefix })
    const lease = await one.store.grantLease(30_000)
    clock.shiftMs += 40_000
    await two.store.renewLease(lease)
    expect(await codeOf(one.store.renewLease(lease))).to.equal('none')
    await two.store.revokeLease(lease)
    expect(await codeOf(one.store.renewLease(lease))).to.equal('SessionExpired')
    expect(await codeOf(two.store.revokeLease(lease))).to.equal('none')
    await one.store.close()
    await two.store.close()
  })

  it('of other stores are none of ours', async () => {
    const { store } = await openEtcdSubject(cluster())
    for (const lease of ['77', 'x', '-1', '']) {
      expect(await codeOf(store.renewLease(lease))).to.equal('SessionExpired')
    }
    await store.close()
  })
})
