import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import { bytes, put, text } from '../conformance/subject.js'
import { openEtcdSubject, useEtcd } from '../support/etcd-subject.js'

const QUOTA_BYTES = 16 * 1024 * 1024
const ROWS_MAX = 200

describe('an etcd without space', function () {
  this.timeout(60_000)
  const cluster = useEtcd({ flags: [`--quota-backend-bytes=${QUOTA_BYTES}`] })

  it('refuses puts as DriveFull only if they have not happened, and still deletes', async () => {
    const { store } = await openEtcdSubject(cluster())
    const value = Buffer.alloc(256 * 1024, 1)
    let lane: string | undefined
    let stored = 0
    const seen: string[] = []
    for (let at = 0; at < ROWS_MAX && seen.at(-1) !== 'DriveFull'; at++) {
      const fence = { key: bytes('lane'), value: lane === undefined ? undefined : bytes(lane) }
      const commit = { compares: [], puts: [{ key: bytes(`big/${at}`), value }] }
      try {
        await store.apply({ commits: [commit], always: [put('lane', String(at))], fence })
        lane = String(at)
        stored = at + 1
      } catch (error) {
        if (!hasCode(error, 'DriveFull', 'OutcomeUnknown')) throw error
        seen.push(error.code)
        const { results } = await store.read([
          { kind: 'get', key: bytes(`big/${at}`) },
          { kind: 'get', key: bytes('lane') },
        ])
        if (error.code === 'DriveFull') expect(results[0]).to.deep.equal([])
        lane = text(results[1]?.[0]?.value)
      }
    }
    expect(seen.at(-1)).to.equal('DriveFull')
    expect(stored).to.be.greaterThan(20)
    const [deleted] = await store.apply({
      commits: [{ compares: [], deletes: [bytes('big/0')] }],
      always: [],
    })
    expect(deleted?.committed).to.equal(true)
    await store.compact(deleted?.revision ?? 0)
    await cluster().control('defrag')
    await cluster().control('alarm', 'disarm')
    await store.apply({ commits: [], always: [put('lane', 'again')] })
    await store.close()
  })
})
