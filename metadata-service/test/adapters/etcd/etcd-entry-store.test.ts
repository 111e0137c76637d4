import { type Clock, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { openEtcdEntryStore } from '../../../src/adapters/etcd/etcd-entry-store.js'
import { COMPACT_EVERY_MS } from '../../../src/adapters/etcd/etcd-limits.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import type { Commit } from '../../../src/ports.js'
import { absent, bytes, createRealWorld, put, range, text } from '../../conformance/subject.js'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'

const WIDE_ROWS = 12_000

async function codeOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => 'none',
    (error: { code: string }) => error.code,
  )
}

const create = (key: string, value: Uint8Array = bytes(key)): Commit => ({
  compares: [absent(key)],
  puts: [{ key: bytes(key), value }],
})

describe('EtcdEntryStore', function () {
  this.timeout(60_000)
  const cluster = useEtcd()

  it('takes the largest entry that etcd takes, and refuses a larger one whole', async () => {
    const { store } = await openEtcdSubject(cluster())
    const always = ['l/1', 'head', 'c/1'].map((key) => put(key, '1'))
    const full = Array.from({ length: 124 }, (_, at) => create(`full/${at}`))
    expect(await codeOf(store.apply({ commits: full, always }))).to.equal('none')
    const over = Array.from({ length: 125 }, (_, at) => create(`over/${at}`))
    expect(await codeOf(store.apply({ commits: over, always }))).to.equal('MessageTooLarge')
    const wide = { compares: Array.from({ length: 126 }, (_, at) => absent(`x/${at}`)), puts: [put('x', '')] }
    expect(await codeOf(store.apply({ commits: [wide], always }))).to.equal('MessageTooLarge')
    const { results } = await store.read([{ kind: 'scan', range: range('over/', 'over0'), limit: 1 }])
    expect(results[0]).to.deep.equal([])
    await store.close()
  })

  it('takes 1.5 MiB less its own part, and refuses more whole', async () => {
    const { store } = await openEtcdSubject(cluster())
    const large = create('large', Buffer.alloc(1.5 * 1024 * 1024 - 2048))
    expect(await codeOf(store.apply({ commits: [large], always: [] }))).to.equal('none')
    const tooLarge = create('too-large', Buffer.alloc(1.5 * 1024 * 1024))
    expect(await codeOf(store.apply({ commits: [tooLarge], always: [] }))).to.equal('MessageTooLarge')
    await store.close()
  })

  it('shares entries of a batcher up to its limits without a refusal', async () => {
    const { store } = await openEtcdSubject(cluster())
    const entries: number[] = []
    const batcher = createKeyValueStore({
      store,
      ...createRealWorld(),
      service: 'test',
      onEntry: (commits) => entries.push(commits),
    })
    const proof = { keys: [], carries: () => false }
    const small = Array.from({ length: 300 }, (_, at) => create(`small/${at}`))
    const large = Array.from({ length: 4 }, (_, at) => create(`large/${at}`, Buffer.alloc(700_000)))
    const results = await Promise.all([...small, ...large].map((one) => batcher.commit({ ...one, proof })))
    expect(results.every(({ committed }) => committed)).to.equal(true)
    expect(entries.reduce((sum, count) => sum + count, 0)).to.equal(304)
    expect(Math.max(...entries)).to.be.greaterThan(100)
    await batcher.close()
  })

  it('reads more than a transaction holds at one revision', async () => {
    const { store } = await openEtcdSubject(cluster())
    await store.apply({
      commits: [],
      always: Array.from({ length: 100 }, (_, at) => put(`k/${at}`, String(at))),
    })
    const reads = Array.from({ length: 400 }, (_, at) => ({ kind: 'get', key: bytes(`k/${at}`) }) as const)
    const { results } = await store.read(reads)
    expect(results.map(([row]) => text(row?.value)).slice(0, 100)).to.deep.equal(
      Array.from({ length: 100 }, (_, at) => String(at)),
    )
    expect(results.slice(100).every((rows) => rows.length === 0)).to.equal(true)
    await store.close()
  })

  it('gives rows as they were at a revision, until that is compacted', async () => {
    const { store, forgetEvents } = await openEtcdSubject(cluster())
    const [made] = await store.apply({ commits: [create('a', bytes('1'))], always: [] })
    const revision = made?.revision ?? 0
    await store.apply({ commits: [{ compares: [], deletes: [bytes('a')] }], always: [put('b', '1')] })
    const rows = await store.rowsAt([bytes('a'), bytes('b')], revision)
    expect(rows.map((row) => text(row?.value))).to.deep.equal(['1', undefined])
    await forgetEvents((await store.read([])).revision)
    expect(await codeOf(store.rowsAt([bytes('a')], revision))).to.equal('Busy')
    await store.close()
  })

  it('pages through wide ranges, forward and back, without missing or doubling a row', async () => {
    const { store } = await openEtcdSubject(cluster())
    const names = Array.from(
      { length: WIDE_ROWS },
      (_, at) => `w/${at % 3}/${String(at * at).padStart(10, '0')}`,
    )
    for (let from = 0; from < names.length; from += 100) {
      await store.apply({ commits: [], always: names.slice(from, from + 100).map((name) => put(name, '')) })
    }
    const expected = names.toSorted()
    const found: string[] = []
    for (let from = bytes('w/'); ; ) {
      const { results } = await store.read([{ kind: 'scan', range: { from, to: bytes('w0') }, limit: 700 }])
      const page = (results[0] ?? []).map(({ key }) => String(key))
      found.push(...page)
      if (page.length < 700) break
      from = bytes(`${page.at(-1)}\0`)
    }
    expect(found).to.deep.equal(expected)
    const { results } = await store.read([
      { kind: 'scan', range: range('w/', 'w0'), limit: 500, reverse: true },
    ])
    expect(results[0]?.map(({ key }) => String(key))).to.deep.equal(expected.slice(-500).reverse())
    expect(await store.count(range('w/', 'w0'))).to.equal(WIDE_ROWS)
    const page = await store.page(range('w/1/', 'w/10'), 50)
    expect(page.rows).to.have.length(50)
    expect(page.hasMore).to.equal(true)
    await store.close()
  })

  it('keeps to its prefix', async () => {
    const one = await openEtcdSubject(cluster())
    const two = await openEtcdSubject(cluster())
    await one.store.apply({ commits: [], always: [put('a', '1'), put('\xff', '1')] })
    await two.store.apply({
      commits: [{ compares: [], deleteRanges: [range('', '\xff\xff')] }],
      always: [],
    })
    expect(await one.store.count(range('', '\xff\xff'))).to.equal(2)
    expect(await two.store.count(range('', '\xff\xff'))).to.equal(0)
    await one.store.close()
    await two.store.close()
  })

  it('drops history from time to time only where it is told to', async () => {
    const timers: number[] = []
    const clock: Clock = {
      ...systemClock,
      setTimer(delayMs, task) {
        timers.push(delayMs)
        return systemClock.setTimer(delayMs, task)
      },
    }
    for (const compacts of [false, true]) {
      const { store } = await openEtcdSubject(cluster(), { clock, compacts })
      await store.close()
      expect(timers.includes(COMPACT_EVERY_MS)).to.equal(compacts)
    }
  })

  it('closes at once, whatever is under way, and leaves nothing unsaid', async () => {
    const { store } = await openEtcdSubject(cluster())
    await cluster().members[0]?.pause()
    const applied = codeOf(store.apply({ commits: [], always: [put('a', '1')] }))
    const read = codeOf(store.read([]))
    await new Promise((resolve) => setImmediate(resolve))
    await store.close()
    expect(await applied).to.be.oneOf(['OutcomeUnknown', 'ShuttingDown'])
    expect(await read).to.equal('ShuttingDown')
    cluster().members[0]?.resume()
  })

  it('says Busy when there is no etcd', async () => {
    const { clock, random } = createRealWorld()
    const lines: string[] = []
    const log = { info: (_: object, line: string) => lines.push(line), error: () => undefined }
    const nobody = { endpoints: ['127.0.0.1:1'], openMs: 0, totalMs: 200 }
    expect(await codeOf(openEtcdEntryStore({ ...nobody, clock, random, log }))).to.equal('Busy')
    expect(lines, 'one line, not one for each attempt').to.deep.equal(['etcd: a member does not answer'])
  })
})
