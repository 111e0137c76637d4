import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import type { EtcdEntryStore } from '../../../src/adapters/etcd/etcd-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import type { KeyValueStore } from '../../../src/ports.js'
import {
  absent,
  atRevision,
  bytes,
  createRealWorld,
  proofOf,
  put,
  range,
  seed,
  text,
} from '../../conformance/subject.js'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'
import { openTcpProxy } from '../../support/tcp-proxy.js'

const CREATIONS = 120
const WRITERS = 6
const LOSS_RATE = 0.25
const INCREMENTS = 60

async function storedValue(store: EtcdEntryStore, key: string): Promise<string | undefined> {
  return text((await store.read([{ kind: 'get', key: bytes(key) }])).results[0]?.[0]?.value)
}

/** Adds 1 to a counter by compare and swap; how often it was refused. */
async function increment(store: KeyValueStore, key: string, op: string): Promise<void> {
  for (;;) {
    const { results } = await store.read([{ kind: 'get', key: bytes(key) }])
    const row = results[0]?.[0]
    const [count = '0'] = (text(row?.value) ?? '0').split(' ')
    const one = {
      compares: [row === undefined ? absent(key) : atRevision(key, row.revision)],
      puts: [put(key, `${Number(count) + 1} ${op}`), put(`op/${op}`, op)],
    }
    const proof = {
      keys: [bytes(`op/${op}`)],
      carries: ([found]: readonly (object | undefined)[]) => found !== undefined,
    }
    if ((await store.commit({ ...one, proof })).committed) return
  }
}

describe('lost answers of etcd', function () {
  this.timeout(120_000)
  const cluster = useEtcd()

  it('do not shorten the wait for the next one, however many are lost one after the other', async () => {
    const proxy = await openTcpProxy(cluster().endpoints[0] ?? '')
    const { store } = await openEtcdSubject(cluster(), { endpoints: [proxy.endpoint], totalMs: 4_000 })
    await store.apply({ commits: [], always: [put('row', '1')] })
    proxy.loseNextAnswer()
    const arming = setInterval(() => {
      if (proxy.lost < 40) proxy.loseNextAnswer()
      else clearInterval(arming)
    }, 1)
    const { results } = await store.read([{ kind: 'scan', range: range('r', 's'), limit: 10 }])
    expect(results[0]?.length).to.equal(1)
    expect(proxy.lost).to.equal(40)
    await store.close()
    await proxy.close()
  })

  it(`never turn a creation that happened into a refusal (seed ${seed})`, async () => {
    const random = createSeededRandom(seed)
    const direct = await openEtcdSubject(cluster())
    const proxy = await openTcpProxy(cluster().endpoints[0] ?? '')
    const { store } = await openEtcdSubject(cluster(), { endpoints: [proxy.endpoint], prefix: direct.prefix })
    const batcher = createKeyValueStore({
      store,
      ...createRealWorld(),
      service: 'test',
      entriesInFlight: 2,
    })
    let next = 0
    const refused: string[] = []
    async function write(): Promise<void> {
      while (next < CREATIONS) {
        const key = `o/${next++}`
        if (random.fraction() < LOSS_RATE) proxy.loseNextAnswer()
        const one = { compares: [absent(key)], puts: [put(key, `value of ${key}`)] }
        if (!(await batcher.commit({ ...one, proof: proofOf(one) })).committed) refused.push(key)
      }
    }
    await Promise.all(Array.from({ length: WRITERS }, write))
    expect(proxy.lost).to.be.greaterThan(5)
    expect(refused).to.deep.equal([])
    for (let at = 0; at < CREATIONS; at++)
      expect(await storedValue(direct.store, `o/${at}`)).to.equal(`value of o/${at}`)
    await batcher.close()
    await direct.store.close()
    await proxy.close()
  })

  it('are told as unknown by the store itself, and never sent again', async () => {
    const direct = await openEtcdSubject(cluster())
    const proxy = await openTcpProxy(cluster().endpoints[0] ?? '')
    const { store } = await openEtcdSubject(cluster(), { endpoints: [proxy.endpoint], prefix: direct.prefix })
    await store.apply({ commits: [], always: [put('a', '1')] })
    proxy.loseNextAnswer()
    const applied = store.apply({ commits: [], always: [put('a', '2')] })
    const code = await applied.then(
      () => 'none',
      (error: { code: string }) => error.code,
    )
    expect(code).to.equal('OutcomeUnknown')
    const { results } = await store.read([{ kind: 'get', key: bytes('a') }])
    expect(text(results[0]?.[0]?.value)).to.equal('2')
    const changes: number[] = []
    for await (const { revision } of direct.store.follow(
      (results[0]?.[0]?.created ?? 1) - 1,
      AbortSignal.timeout(500),
    ))
      changes.push(revision)
    expect(changes).to.have.length(2)
    await store.close()
    await direct.store.close()
    await proxy.close()
  })

  it('do not confuse two services that count on one row at once', async () => {
    const direct = await openEtcdSubject(cluster())
    const proxy = await openTcpProxy(cluster().endpoints[0] ?? '')
    const services = await Promise.all(
      ['one', 'two'].map(async (service) => {
        const { store } = await openEtcdSubject(cluster(), {
          endpoints: [proxy.endpoint],
          prefix: direct.prefix,
        })
        return createKeyValueStore({ store, ...createRealWorld(), service, entriesInFlight: 2 })
      }),
    )
    await Promise.all(
      services.flatMap((store, at) =>
        Array.from({ length: 3 }, async (_, writer) => {
          for (let round = 0; round < INCREMENTS / 6; round++) {
            if (round % 3 === writer) proxy.loseNextAnswer()
            await increment(store, 'counter', `${at}-${writer}-${round}`)
          }
        }),
      ),
    )
    expect(proxy.lost).to.be.greaterThan(2)
    expect((await storedValue(direct.store, 'counter'))?.split(' ')[0]).to.equal(String(INCREMENTS))
    for (const store of services) await store.close()
    await direct.store.close()
    await proxy.close()
  })
})
