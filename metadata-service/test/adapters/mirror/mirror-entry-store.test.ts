import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { openMirroredEntryStore } from '../../../src/adapters/mirror/mirror-entry-store.js'
import type { Head, SourceChange } from '../../../src/ports-mirror.js'
import { bytes, put, seed } from '../../conformance/subject.js'
import { rejection } from '../../rejection.js'
import { delegate, MirrorWorld, runHistory } from './mirror-world.js'

const TROUBLE = { faultRate: 0.05, lossRate: 0.02, delayMsMax: 12 }
const STEPS = 3_000

/** Changes that never come. */
async function* silence(signal: AbortSignal): AsyncGenerator<SourceChange> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
}

describe('MirroredEntryStore', () => {
  let world: MirrorWorld

  afterEach(() => world.close())

  it('answers by the store until it is whole, and then by itself', async () => {
    world = await MirrorWorld.open(seed, { delayMsMax: 500 })
    const revision = await world.write('o/a', '1')
    expect((await world.find('o/a'))?.revision).to.equal(revision)
    expect(world.mirror.status()).to.include({ state: 'filling', readsHere: 0 })
    await world.untilFollowing()
    expect((await world.find('o/a'))?.revision).to.equal(revision)
    expect(world.mirror.status()).to.include({ readsHere: 1, rows: 3, lagEntries: 0 })
  })

  it('shows what was committed before the read, with its exact revisions', async () => {
    world = await MirrorWorld.open(seed, { delayMsMax: 20 })
    await world.untilFollowing()
    const created = await world.write('o/a', '1')
    for (let round = 2; round < 30; round++) {
      const revision = await world.write('o/a', String(round))
      const row = await world.find('o/a')
      expect([String(row?.value), row?.created, row?.revision]).to.deep.equal([
        String(round),
        created,
        revision,
      ])
    }
    expect(world.mirror.status().readsHere).to.equal(28)
  })

  it(`answers ${STEPS} random steps linearizably, whatever happens to its changes (seed ${seed})`, async function () {
    this.timeout(120_000)
    world = await MirrorWorld.open(seed, TROUBLE)
    await world.untilFollowing()
    expect((await runHistory(world, STEPS)).slice(0, 5)).to.deep.equal([])
    expect(world.source.faults).to.be.greaterThan(20)
    expect(world.mirror.status().readsHere).to.be.greaterThan(50)
    expect(world.mirror.status()).to.include({ mismatches: 0 })
  })

  it('is caught by that history when it does not wait for head', async function () {
    this.timeout(60_000)
    let known: Head | undefined
    world = await MirrorWorld.open(seed, { delayMsMax: 12 }, (source) => ({
      ...delegate(source),
      head: async () => {
        if (world.mirror.status().state !== 'following') known = await source.head()
        return known ?? (await source.head())
      },
    }))
    await world.untilFollowing()
    expect(await runHistory(world, 300)).to.have.length.greaterThan(0)
  })

  it('goes on where it was when it is opened again, with what happened meanwhile', async () => {
    world = await MirrorWorld.open(seed)
    await world.write('o/a', '1')
    await world.write('o/b', '1')
    await world.untilFollowing()
    await world.stop()
    const { pages } = world.source
    await world.apply('o/a', '2')
    await world.start()
    await world.untilFollowing()
    expect(String((await world.find('o/a'))?.value)).to.equal('2')
    expect(String((await world.find('o/b'))?.value)).to.equal('1')
    expect(world.mirror.status()).to.include({ readsHere: 2, rebuilds: 0 })
    expect(world.source.pages - pages, 'pages: the two rows of the proof').to.equal(2)
  })

  it('reads everything anew when the store has compacted what it missed', async () => {
    world = await MirrorWorld.open(seed)
    await world.write('o/a', '1')
    await world.untilFollowing()
    await world.stop()
    await world.apply('o/a', '2')
    await world.apply('o/b', '1')
    world.source.compact()
    const before = world.source.pages
    await world.start()
    await world.untilFollowing()
    expect(String((await world.find('o/a'))?.value)).to.equal('2')
    expect(world.mirror.status()).to.include({ readsHere: 1 })
    expect(world.source.pages - before).to.be.greaterThan(2)
  })

  it('does not take the copy of another store for its own, however much that one has written', async () => {
    world = await MirrorWorld.open(seed)
    await world.write('o/a', 'of the first store')
    await world.untilFollowing()
    await world.stop()
    world.replaceStore()
    for (let at = 0; at < 20; at++) await world.apply('o/b', String(at))
    await world.start()
    await world.untilFollowing()
    expect(await world.find('o/a')).to.equal(undefined)
    expect(String((await world.find('o/b'))?.value)).to.equal('19')
    expect(world.mirror.status()).to.include({ readsHere: 2 })
  })

  it('begins anew when the incarnation changes under it', async () => {
    world = await MirrorWorld.open(seed)
    await world.writeCluster('first')
    await world.untilFollowing()
    await world.writeCluster('second')
    await world.world.clock.advance(60_000)
    await world.untilFollowing()
    expect(world.mirror.status()).to.include({ rebuilds: 1 })
    expect(await world.find('m/cluster')).not.to.equal(undefined)
    expect(world.mirror.status()).to.include({ readsHere: 1 })
  })

  it('finds by its audit what a lost event has changed, and begins anew', async () => {
    let isLossy = true
    world = await MirrorWorld.open(seed, {}, (source) => ({
      ...delegate(source),
      async *follow(from, signal) {
        for await (const change of source.follow(from, signal)) {
          const events = change.events.filter(({ key }) => !isLossy || String(key) !== 'o/lost')
          yield { ...change, events }
        }
      },
    }))
    await world.untilFollowing()
    await world.write('o/lost', '1')
    expect(await world.find('o/lost'), 'not noticed by head').to.equal(undefined)
    isLossy = false
    await world.world.clock.advance(600_000)
    expect(world.mirror.status()).to.include({ mismatches: 1, rebuilds: 1, state: 'following' })
    expect(String((await world.find('o/lost'))?.value)).to.equal('1')
  })

  it('asks anew when its changes stop coming, and the store answers meanwhile', async () => {
    let follows = 0
    world = await MirrorWorld.open(seed, {}, (source) => ({
      ...delegate(source),
      follow: (from, signal) => (++follows === 1 ? silence(signal) : source.follow(from, signal)),
    }))
    await world.untilFollowing()
    await world.write('o/a', '1')
    expect(String((await world.find('o/a'))?.value)).to.equal('1')
    expect(world.mirror.status()).to.include({ readsHere: 0, readsThere: 1 })
    await world.world.clock.advance(30_000)
    expect(String((await world.find('o/a'))?.value)).to.equal('1')
    expect(world.mirror.status()).to.include({ readsHere: 1, resumes: 1, rebuilds: 0 })
  })

  it('closes though its store does not answer any more, since that is closed with it', async () => {
    world = await MirrorWorld.open(seed)
    let end = (): void => undefined
    const ended = new Promise<never>((_resolve, reject) => {
      end = () => reject(new CairnError('ShuttingDown', 'the store is closed'))
    })
    const silent = {
      ...delegate(world.source),
      head: () => ended,
      page: () => ended,
      count: () => ended,
      close: async () => end(),
    }
    const log = { info: () => undefined, error: () => undefined }
    const path = join(world.folder, 'silent.sqlite')
    const mirror = await openMirroredEntryStore({ store: silent, path, ...world.world, log })
    await world.world.clock.advance(10)
    await world.run(mirror.close())
    const answer = mirror.read([{ kind: 'get', key: bytes('o/a') }])
    expect((await rejection(answer)).code).to.equal('ShuttingDown')
  })

  it('leaves rows under leases to the store, and refuses them elsewhere', async () => {
    world = await MirrorWorld.open(seed)
    await world.untilFollowing()
    const lease = await world.run(world.mirror.grantLease(10_000))
    const commit = (key: string) =>
      world.run(
        world.store.commit({
          compares: [],
          puts: [put(key, '1', lease)],
          proof: { keys: [], carries: () => false },
        }),
      )
    expect((await rejection(commit('o/a'))).code).to.equal('InvalidArgument')
    await commit('s/1')
    await world.run(world.mirror.revokeLease(lease))
    expect(await world.find('s/1')).to.equal(undefined)
    expect(world.mirror.status().readsHere).to.equal(0)
  })
})
