import { PassThrough } from 'node:stream'
import { hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import type { EtcdEntryStore } from '../../../src/adapters/etcd/etcd-entry-store.js'
import { type FollowOptions, followEtcd } from '../../../src/adapters/etcd/etcd-follow.js'
import { EtcdKeys } from '../../../src/adapters/etcd/etcd-keys.js'
import type { SourceChange } from '../../../src/ports-mirror.js'
import { bytes, createWorld, put, range, text } from '../../conformance/subject.js'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'

/** One entry as the batcher writes them. */
async function write(store: EtcdEntryStore, key: string, value: string): Promise<number> {
  const commit = { compares: [], puts: [put(key, value)] }
  const [result] = await store.apply({ commits: [commit], always: [put('head', value)] })
  return result?.revision ?? 0
}

async function take(changes: AsyncIterable<SourceChange>, untilRevision: number): Promise<SourceChange[]> {
  const taken: SourceChange[] = []
  for await (const change of changes) {
    taken.push(change)
    if (change.revision >= untilRevision) break
  }
  return taken
}

function applyTo(copy: Map<string, string>, { events }: SourceChange): void {
  for (const { key, value } of events) {
    if (value === undefined) copy.delete(String(key))
    else copy.set(String(key), String(value))
  }
}

/** A copy of all rows, kept by pages and changes, that starts anew whenever it is told to. */
async function keepCopy(
  store: EtcdEntryStore,
  copy: Map<string, string>,
  signal: AbortSignal,
): Promise<number> {
  for (let starts = 1; ; starts++) {
    try {
      const { revision, rows } = await store.page(range('', '\xff'), 10_000)
      copy.clear()
      for (const row of rows) copy.set(String(row.key), String(row.value))
      for await (const change of store.follow(revision, signal)) applyTo(copy, change)
      return starts
    } catch (error) {
      if (!hasCode(error, 'Busy')) throw error
    }
  }
}

describe('following etcd', function () {
  this.timeout(120_000)
  const cluster = useEtcd()

  it('gives every change once, in order, with the version of head', async () => {
    const { store } = await openEtcdSubject(cluster())
    const first = await write(store, 'a', '0')
    for (let at = 1; at < 50; at++) await write(store, `k/${at}`, String(at))
    const { revision, version } = await store.head()
    const changes = await take(store.follow(first, new AbortController().signal), revision)
    expect(changes.map(({ headVersion }) => headVersion)).to.deep.equal(
      Array.from({ length: 49 }, (_, at) => at + 2),
    )
    expect(version).to.equal(50)
    expect(changes.flatMap(({ events }) => events.map(({ key }) => text(key)))).to.include.members([
      'k/1',
      'k/49',
    ])
    await store.close()
  })

  it('puts large histories together from their fragments', async () => {
    const { store } = await openEtcdSubject(cluster())
    const first = await write(store, 'start', '')
    const value = Buffer.alloc(1024 * 1024, 7)
    for (let at = 0; at < 20; at++) {
      const commit = { compares: [], puts: [{ key: bytes(`big/${at}`), value }] }
      await store.apply({ commits: [commit], always: [put('head', String(at))] })
    }
    const { revision } = await store.head()
    const changes = await take(store.follow(first, new AbortController().signal), revision)
    expect(changes).to.have.length(20)
    for (const { events } of changes) expect(events[0]?.value?.length).to.equal(value.length)
    await store.close()
  })

  it('goes on while history is compacted behind it', async () => {
    const { store } = await openEtcdSubject(cluster())
    const first = await write(store, 'a', 'first')
    const abort = new AbortController()
    const revisions: number[] = []
    const following = (async () => {
      for await (const { revision } of store.follow(first, abort.signal)) revisions.push(revision)
    })()
    const written: number[] = []
    for (let at = 0; at < 60; at++) {
      written.push(await write(store, 'a', String(at)))
      if (at % 20 === 19) await store.compact(written.at(-1) ?? 0)
      while (at % 20 === 19 && revisions.length < written.length) await new Promise(setImmediate)
    }
    abort.abort()
    await following
    expect(revisions).to.deep.equal(written)
    await store.close()
  })

  it('loses nothing over restarts of etcd, or says Busy', async () => {
    const { store } = await openEtcdSubject(cluster())
    const copy = new Map<string, string>()
    const abort = new AbortController()
    const keeping = keepCopy(store, copy, abort.signal)
    const written = new Map<string, string>()
    for (let at = 0; at < 60; at++) {
      if (at % 20 === 10) {
        const member = cluster().members[0]
        await member?.kill()
        member?.restart()
        await cluster().ready()
      }
      await write(store, `k/${at % 7}`, String(at)).then(
        () => written.set(`k/${at % 7}`, String(at)),
        (error: unknown) => {
          if (!hasCode(error, 'OutcomeUnknown', 'Busy')) throw error
        },
      )
    }
    const last = await write(store, 'end', 'end')
    while (copy.get('end') !== 'end') await new Promise((resolve) => setTimeout(resolve, 5))
    abort.abort()
    const starts = await keeping
    const { rows } = await store.page(range('', '\xff'), 10_000, last)
    expect(Object.fromEntries(copy)).to.deep.equal(
      Object.fromEntries(rows.map(({ key, value }) => [String(key), String(value)])),
    )
    expect(starts).to.be.greaterThan(1)
    await store.close()
  })

  it('notices that its member has fallen silent', async () => {
    const { store } = await openEtcdSubject(cluster(), { attemptMs: 200, totalMs: 400 })
    const first = await write(store, 'a', '1')
    const following = take(store.follow(first, new AbortController().signal), Number.POSITIVE_INFINITY)
    await cluster().members[0]?.pause()
    const code = await following.then(
      () => 'none',
      (error: { code: string }) => error.code,
    )
    cluster().members[0]?.resume()
    expect(code).to.equal('Busy')
    await store.close()
  })

  it('compares its place with the head of the store when its stream is silent', async () => {
    const { clock } = createWorld()
    const silent = Object.assign(new PassThrough({ objectMode: true }), {
      cancel: () => silent.destroy(new Error('cancelled')),
    })
    const connection = { openStream: async () => silent, assertOpen: () => undefined }
    const options = {
      connection: connection as unknown as FollowOptions['connection'],
      clock,
      keys: new EtcdKeys('/p/'),
      headKey: bytes('head'),
    }
    const idle = followEtcd(
      { ...options, head: async () => ({ revision: 7, version: 1 }) },
      7,
      new AbortController().signal,
    )
    const waiting = idle.next()
    await clock.advance(60_000)
    expect(silent.destroyed).to.equal(false)
    silent.end()
    expect(await waiting.catch(() => 'ended')).to.equal('ended')
    const again = Object.assign(new PassThrough({ objectMode: true }), {
      cancel: () => again.destroy(new Error('cancelled')),
    })
    connection.openStream = async () => again
    const lost = followEtcd(
      { ...options, head: async () => ({ revision: 8, version: 2 }) },
      7,
      new AbortController().signal,
    )
    const code = lost.next().then(
      () => 'none',
      (error: { code: string }) => error.code,
    )
    await clock.advance(60_000)
    expect(again.destroyed).to.equal(true)
    expect(await code).to.equal('Busy')
  })

  it('ends when it is given up while its stream opens', async () => {
    const abort = new AbortController()
    const stream = Object.assign(new PassThrough({ objectMode: true }), {
      cancel: () => stream.destroy(new Error('cancelled')),
    })
    const openStream = async () => {
      abort.abort()
      return stream
    }
    const following = followEtcd(
      {
        connection: { openStream, assertOpen: () => undefined } as unknown as FollowOptions['connection'],
        clock: createWorld().clock,
        keys: new EtcdKeys('/p/'),
        headKey: bytes('head'),
        head: async () => ({ revision: 7, version: 1 }),
      },
      7,
      abort.signal,
    )
    expect((await following.next()).done).to.equal(true)
    expect(stream.destroyed).to.equal(true)
  })

  it('ends with ShuttingDown when the store closes', async () => {
    const { store } = await openEtcdSubject(cluster())
    const first = await write(store, 'a', '1')
    const following = take(store.follow(first - 1, new AbortController().signal), Number.POSITIVE_INFINITY)
    await write(store, 'a', '2')
    await store.close()
    const code = await following.then(
      () => 'none',
      (error: { code: string }) => error.code,
    )
    expect(code).to.equal('ShuttingDown')
  })
})
