import type { EtcdMember } from '@cairn/e2e'
import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import type { KeyValueStore } from '../../../src/ports.js'
import { absent, bytes, createRealWorld, proofOf, put, text } from '../../conformance/subject.js'
import { codeOf } from '../../core/commit/commit-bench.js'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'

const WRITERS = 8

/** Writers that create rows until they are stopped, and what was acknowledged to them. */
function startLoad(store: KeyValueStore): {
  acknowledged: string[]
  refused: string[]
  stop(): Promise<number>
} {
  const acknowledged: string[] = []
  const refused: string[] = []
  let next = 0
  let isOver = false
  let lastMs = performance.now()
  let longestMs = 0
  async function write(): Promise<void> {
    while (!isOver) {
      const key = `o/${next++}`
      const one = { compares: [absent(key)], puts: [put(key, `value of ${key}`)] }
      try {
        const { committed } = await store.commit({ ...one, proof: proofOf(one) })
        ;(committed ? acknowledged : refused).push(key)
        longestMs = Math.max(longestMs, performance.now() - lastMs)
        lastMs = performance.now()
      } catch (error) {
        if (!hasCode(error, 'Busy', 'OutcomeUnknown')) throw error
      }
    }
  }
  const writers = Promise.all(Array.from({ length: WRITERS }, write))
  return {
    acknowledged,
    refused,
    async stop() {
      isOver = true
      await writers
      return longestMs
    },
  }
}

async function reach(load: { acknowledged: string[] }, more: number): Promise<void> {
  const target = load.acknowledged.length + more
  while (load.acknowledged.length < target) await new Promise((resolve) => setTimeout(resolve, 10))
}

describe('a store on three members of etcd', function () {
  this.timeout(120_000)
  const cluster = useEtcd({ members: 3 })

  afterEach(async () => {
    for (const member of cluster().members) member.resume()
    await cluster().ready()
  })

  async function underLoad(fault: (load: { acknowledged: string[] }) => Promise<void>): Promise<void> {
    const { store } = await openEtcdSubject(cluster())
    const batcher = createKeyValueStore({ store, ...createRealWorld(), service: 'test', entriesInFlight: 2 })
    const load = startLoad(batcher)
    await reach(load, 100)
    await fault(load)
    await reach(load, 100)
    const longestMs = await load.stop()
    console.log(`      longest pause ${Math.round(longestMs)} ms, ${load.acknowledged.length} commits`)
    expect(load.refused).to.deep.equal([])
    const { results } = await store.read(load.acknowledged.map((key) => ({ kind: 'get', key: bytes(key) })))
    results.forEach(([row], at) => {
      expect(text(row?.value)).to.equal(`value of ${load.acknowledged[at]}`)
    })
    await batcher.close()
  }

  it('loses no acknowledged commit when the leader is killed under load', () =>
    underLoad(async (load) => {
      const leader = await cluster().leader()
      await leader.kill()
      await reach(load, 100)
      leader.restart()
      await cluster().ready()
    }))

  it('goes on when any one member is stopped', () =>
    underLoad(async (load) => {
      const leader: EtcdMember = await cluster().leader()
      for (const member of [leader, ...cluster().members.filter((other) => other !== leader)]) {
        await member.pause()
        await reach(load, 50)
        member.resume()
        await cluster().ready()
      }
    }))

  it('ends what waits for silent members when it is closed, and not only at their deadlines', async () => {
    const { store } = await openEtcdSubject(cluster(), { attemptMs: 600_000, totalMs: 600_000 })
    const lease = await store.grantLease(60_000)
    for (const member of cluster().members) await member.pause()
    const calls = [
      store.apply({ commits: [], always: [put('unknown', '1')] }),
      store.read([]),
      store.renewLease(lease),
    ]
    const codes = calls.map((call) => codeOf(call))
    await new Promise((resolve) => setImmediate(resolve))
    await store.close()
    expect(await Promise.all(codes)).to.deep.equal(['OutcomeUnknown', 'ShuttingDown', 'ShuttingDown'])
  })

  it('is not answered by a member that may be behind, not even about its revision alone', async () => {
    const [member, ...others] = cluster().members
    if (member === undefined) throw new Error('no member')
    const { store } = await openEtcdSubject(cluster(), { endpoints: [member.endpoint], totalMs: 1_600 })
    expect((await store.read([])).revision).to.be.greaterThan(0)
    for (const other of others) await other.pause()
    expect(await codeOf(store.read([]))).to.equal('Busy')
    await store.close()
  })

  it('waits long for a page of a fill: a second question would only add to the work', async () => {
    const [member] = cluster().members
    if (member === undefined) throw new Error('no member')
    const options = { endpoints: [member.endpoint], attemptMs: 200, totalMs: 200 }
    const { store } = await openEtcdSubject(cluster(), options)
    await store.apply({ commits: [], always: [put('row', '1')] })
    await member.pause()
    const page = store.page({ from: bytes('r'), to: bytes('s') }, 10)
    expect(await codeOf(store.read([{ kind: 'get', key: bytes('row') }]))).to.equal('Busy')
    member.resume()
    expect((await page).rows.map(({ key }) => text(key))).to.deep.equal(['row'])
    await store.close()
  })

  it('waits longer each time for a scan of unknown cost, and leaves a silent member as soon as ever', async () => {
    const [member, other] = cluster().members
    if (member === undefined || other === undefined) throw new Error('no members')
    const options = { attemptMs: 200, totalMs: 400 }
    const one = await openEtcdSubject(cluster(), { ...options, endpoints: [member.endpoint] })
    const { store } = one
    await store.apply({ commits: [], always: [put('row', '1')] })
    await member.pause()
    const scan = { kind: 'scan', range: { from: bytes('r'), to: bytes('s') }, limit: 10 } as const
    const late = store.read([scan])
    // Which a row that is asked for by its key does not get.
    expect(await codeOf(store.read([{ kind: 'get', key: bytes('row') }]))).to.equal('Busy')
    const elsewhere = { ...options, prefix: one.prefix, endpoints: [member.endpoint, other.endpoint] }
    const two = await openEtcdSubject(cluster(), elsewhere)
    expect((await two.store.read([scan])).results[0]?.length).to.equal(1)
    await two.store.close()
    member.resume()
    expect((await late).results[0]?.map(({ key }) => text(key))).to.deep.equal(['row'])
    await store.close()
  })

  it('says Busy, and has written nothing, while no member can be reached', async () => {
    const { store } = await openEtcdSubject(cluster(), { attemptMs: 300, totalMs: 600 })
    for (const member of cluster().members) await member.kill()
    const calls = [store.apply({ commits: [], always: [put('lost', '1')] }), store.read([])]
    const codes = await Promise.all(calls.map((call) => codeOf(call)))
    for (const member of cluster().members) member.restart()
    await cluster().ready()
    // The first call may have met the end of its connection.
    expect(codes[0]).to.be.oneOf(['Busy', 'OutcomeUnknown'])
    expect(codes[1]).to.equal('Busy')
    await store.close()
    const again = await openEtcdSubject(cluster())
    expect((await again.store.read([])).revision).to.be.greaterThan(0)
    await again.store.close()
  })
})
