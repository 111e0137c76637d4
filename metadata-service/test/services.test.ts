import {
  type CheckReport,
  deleteObjects,
  getCheck,
  getClusterMap,
  getObject,
  getStatus,
  moveSession,
  type PutObjectRequest,
  putObject,
  renewSession,
  sessionOf,
  startCheck,
} from '@cairn/protocol'
import { expect } from 'chai'
import { rejection } from './rejection.js'
import { type PausableService, SeveralServices } from './several-services.js'
import { SilentStore } from './silent-store.js'

/** The lease of the service that was started first, in the store of this world. */
const FIRST_LEASE = '1'

/** Puts an object without blocks. */
async function putOf(world: SeveralServices, service: PausableService, key = 'k'): Promise<PutObjectRequest> {
  const op = world.op()
  return {
    context: { session: sessionOf(op), op, poolEpoch: 0, dirtyGroups: [] },
    bucket: 'b',
    space: await world.bucketSpace(service),
    key,
    map: { pool: 1, slices: [], pages: [] },
    sizeBytes: 0,
    etag: 'e',
    owner: 'o',
    attributes: {},
  }
}

describe('several metadata services', () => {
  it('have one coordinator, and another one within 15 s of its death', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    const b = await world.run(world.start('b'))
    await world.clock.advance(5_000)
    expect([a.service.status().isCoordinator, b.service.status().isCoordinator]).to.deep.equal([true, false])
    expect(b.service.status().coordinator).to.deep.equal({ name: 'a', epoch: 1 })
    a.kill()
    await world.clock.advance(15_000)
    expect(b.service.status().isCoordinator).to.equal(true)
    expect(b.service.status().coordinator).to.deep.equal({ name: 'b', epoch: 2 })
    expect(a.service.status().isCoordinator).to.equal(false)
  })

  it('hand over at once on a clean close', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    const b = await world.run(world.start('b'))
    await world.run(a.service.close())
    await world.clock.advance(2_100)
    expect(b.service.status().isCoordinator).to.equal(true)
  })

  it('close within 10 s while the store is silent, whatever waits for it', async () => {
    const world = new SeveralServices()
    const line = new SilentStore(world.clock)
    const a = await world.run(world.start('a', {}, async (store) => line.over(store)))
    await world.run(world.addDrive([a]))
    await world.run(world.open(a))
    await world.run(world.bucket(a))
    const request = await world.run(putOf(world, a))
    line.fallSilent()
    // By then the lease, the coordinator's row, the services and the background work are being asked for.
    await world.clock.advance(4_000)
    const put = rejection(world.call(a, putObject, request))
    const startedMs = world.clock.monotonicMs()
    await world.run(a.service.close())
    expect(world.clock.monotonicMs() - startedMs).to.be.below(10_000)
    expect((await put).code).to.not.equal('DeadlineExceeded')
  })

  it('let the calls finish that the store still answers when they close', async () => {
    const world = new SeveralServices()
    const line = new SilentStore(world.clock)
    const a = await world.run(world.start('a', {}, async (store) => line.over(store)))
    const b = await world.run(world.start('b'))
    await world.run(world.open(a))
    await world.run(world.bucket(a))
    const request = await world.run(putOf(world, a))
    line.answerIn(800)
    const put = world.call(a, putObject, request)
    await world.clock.advance(10)
    await world.run(Promise.all([a.service.close(), put]))
    const { object } = await world.run(world.call(b, getObject, { bucket: 'b', key: 'k' }))
    expect(object.etag).to.equal('e')
  })

  it('begin safe mode anew when they take over', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a', { gcGraceSeconds: 60 }))
    const b = await world.run(world.start('b', { gcGraceSeconds: 60 }))
    await world.run(world.addDrive([a, b]))
    await world.clock.advance(40_000)
    expect([a, b].map(({ service }) => service.status().safeMode)).to.deep.equal([false, false])
    await world.run(a.service.close())
    await world.clock.advance(2_500)
    expect(b.service.status()).to.include({ isCoordinator: true, safeMode: true })
    await world.clock.advance(31_000)
    expect(b.service.status().safeMode, 'while nobody is heard').to.equal(true)
    await world.run(world.beat([b]))
    expect(b.service.status().safeMode).to.equal(true)
    await world.clock.advance(31_000)
    expect(b.service.status().safeMode).to.equal(false)
  })

  it('let no coordinator act that was paused and replaced', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    const b = await world.run(world.start('b'))
    await world.run(world.addDrive([a, b]))
    await world.run(world.open(b))
    await world.run(world.bucket(b))
    const put = await world.run(putOf(world, b))
    await world.run(world.call(b, putObject, put))
    const remove = { bucket: 'b', owner: 'o', items: [{ op: world.op(), key: 'k' }] }
    await world.run(world.call(b, deleteObjects, remove))
    expect(a.service.status().isCoordinator).to.equal(true)
    const work = a.service.runUpkeep()
    work.catch(() => undefined)
    a.pause()
    await world.clock.advance(20_000)
    expect(b.service.status().isCoordinator).to.equal(true)
    a.wake()
    await world.clock.advance(3_000)
    expect(a.service.status().isCoordinator).to.equal(false)
    expect(b.service.status().isCoordinator).to.equal(true)
  })

  it('refuse a name that a living one has, and take over that of a dead one', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    const error = await world.run(rejection(world.start('a', { address: 'local:other' })))
    expect(error.code).to.equal('DataFolderInUse')
    expect(error.message).to.match(/a metadata service named a runs at local:a since/)
    a.kill()
    const again = await world.run(world.start('a', { address: 'local:again' }))
    expect(again.service.status().isCoordinator).to.equal(true)
  })

  it('have one coordinator when the lease of the first has ended early, though that has a new one at once', async () => {
    const world = new SeveralServices()
    const services = [await world.run(world.start('a')), await world.run(world.start('b'))]
    await world.clock.advance(5_000)
    await world.store.revokeLease(FIRST_LEASE)
    await world.clock.advance(10_000)
    const leading = services.filter(({ service }) => service.status().isCoordinator)
    expect(leading).to.have.length(1)
    for (const { service } of services) expect(service.status().services).to.have.members(['a', 'b'])
  })

  /** As etcd does with each new leader: the lease gets its whole time anew. */
  async function prolongLease(world: SeveralServices, times: number): Promise<void> {
    for (let time = 0; time < times; time++) {
      await world.store.renewLease(FIRST_LEASE)
      await world.clock.advance(8_000)
    }
  }

  it('wait for the name of a dead one whose lease is prolonged, and give up for now when that does not end', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    a.kill()
    const late = rejection(world.start('a', { address: 'local:late' }))
    await prolongLease(world, 9)
    expect((await late).code).to.equal('Busy')
    const again = world.start('a', { address: 'local:again' })
    await prolongLease(world, 4)
    expect((await world.run(again)).service.status().isCoordinator).to.equal(true)
  })

  it('tell of each other in answers to heartbeats and to those who ask for the map', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    await world.run(world.start('b'))
    await world.clock.advance(3_100)
    const { services } = await world.run(world.call(a, getClusterMap, {}))
    expect(services).to.have.members(['local:a', 'local:b'])
  })

  it('show what the coordinator knows, whoever is asked', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a', { gcGraceSeconds: 60 }))
    const b = await world.run(world.start('b', { gcGraceSeconds: 60 }))
    await world.run(world.addDrive([a]))
    await world.clock.advance(40_000)
    const { coordinator, safeMode } = await world.run(world.call(b, getStatus, { withMap: false }))
    expect({ coordinator, safeMode }).to.deep.equal({ coordinator: 'a', safeMode: false })
  })

  it('say what hinders them while their store does not answer, or their lease has ended', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    const find = (): Promise<string | undefined> => world.run(a.service.findTrouble())
    expect(await find()).to.equal(undefined)
    a.pause()
    expect(await find()).to.equal('the store has not answered for 3000 ms')
    await world.clock.advance(10_000)
    a.wake()
    expect(await find()).to.equal('the lease of this service has ended')
    await world.clock.advance(5_000)
    expect(await find()).to.equal(undefined)
  })

  it('run a check at the coordinator, and find it whoever is asked', async () => {
    const world = new SeveralServices()
    const services = [await world.run(world.start('a')), await world.run(world.start('b'))] as const
    const [a, b] = services
    await world.run(world.start('c'))
    await world.run(world.addDrive(services))
    await world.clock.advance(5_000)
    const find = (at: PausableService, check?: string): Promise<CheckReport> =>
      world.run(world.call(at, getCheck, check === undefined ? {} : { check }))
    const { check } = await world.run(world.call(b, startCheck, { deep: false }))
    expect(a.service.status().isCoordinator).to.equal(true)
    const alone = { check, passedOn: true }
    await world.run(world.call(a, getCheck, alone))
    expect((await world.run(rejection(world.call(b, getCheck, alone)))).code).to.equal('InvalidArgument')
    for (const at of services) {
      expect((await find(at, check)).check).to.equal(check)
      expect((await find(at)).check).to.equal(check)
      expect((await rejection(find(at, 'other'))).code).to.equal('InvalidArgument')
    }
  })

  it('find a check that was started before another one came to coordinate', async () => {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    const b = await world.run(world.start('b'))
    await world.run(world.addDrive([a, b]))
    await world.clock.advance(5_000)
    const { check } = await world.run(world.call(a, startCheck, { deep: false }))
    a.pause()
    await world.clock.advance(15_000)
    a.wake()
    await world.clock.advance(6_000)
    expect(b.service.status().isCoordinator).to.equal(true)
    for (const at of [a, b]) {
      expect((await world.run(world.call(at, getCheck, { check }))).check).to.equal(check)
    }
    expect((await world.run(rejection(world.call(b, getCheck, {})))).code).to.equal('InvalidArgument')
  })
})

describe('a session that is moved to another service', () => {
  async function open(): Promise<{ world: SeveralServices; a: PausableService; b: PausableService }> {
    const world = new SeveralServices()
    const a = await world.run(world.start('a'))
    const b = await world.run(world.start('b'))
    await world.run(world.addDrive([a, b]))
    await world.run(world.open(a))
    await world.run(world.bucket(a))
    return { world, a, b }
  }
  const move = async (world: SeveralServices, to: PausableService, route: number): Promise<number> =>
    (await world.run(world.call(to, moveSession, { session: world.session, route }))).route

  it('ends what was sent before on another route, also while that is under way', async () => {
    const { world, a, b } = await open()
    const put = await world.run(putOf(world, a))
    const since = world.clock.wallMicros()
    // From now on the service knows the session by heart: only the commit can tell that it was moved.
    const known = await world.run(putOf(world, a, 'known'))
    await world.run(world.call(a, putObject, { ...known, attempt: { route: 1, sinceMicros: since } }))
    const late = world.call(a, putObject, { ...put, attempt: { route: 1, sinceMicros: since } })
    late.catch(() => undefined)
    a.pause()
    await world.clock.advance(10)
    expect(await move(world, b, 1)).to.equal(2)
    const repeat = { ...put, attempt: { route: 2, firstRoute: 1, sinceMicros: since } }
    await world.run(world.call(b, putObject, repeat))
    const remove = { bucket: 'b', owner: 'o', items: [{ op: world.op(), key: 'k' }] }
    await world.run(world.call(b, deleteObjects, { ...remove, attempt: { route: 2, sinceMicros: since } }))
    a.wake()
    expect((await world.run(rejection(late))).code).to.equal('SessionMoved')
    expect((await world.run(rejection(world.call(b, getObject, { bucket: 'b', key: 'k' })))).code).to.equal(
      'NoSuchKey',
    )
  })

  it('answers a repeat of what happened elsewhere as the first time, though nothing but garbage is left of it', async () => {
    const { world, a, b } = await open()
    const put = await world.run(putOf(world, a))
    const since = world.clock.wallMicros()
    await world.run(world.call(a, putObject, { ...put, attempt: { route: 1, sinceMicros: since } }))
    const remove = { bucket: 'b', owner: 'o', items: [{ op: world.op(), key: 'k' }] }
    await world.run(world.call(a, deleteObjects, { ...remove, attempt: { route: 1, sinceMicros: since } }))
    await move(world, b, 1)
    const attempt = { route: 2, firstRoute: 1, sinceMicros: since }
    const again = await world.run(world.call(b, putObject, { ...put, attempt }))
    expect(again).to.have.property('modifiedMs')
    await world.run(world.call(b, deleteObjects, { ...remove, attempt }))
    expect((await world.run(rejection(world.call(b, getObject, { bucket: 'b', key: 'k' })))).code).to.equal(
      'NoSuchKey',
    )
  })

  it('does nothing for a double of what happened here, though another service has dropped the object since', async () => {
    for (const isMoved of [false, true]) {
      const { world, a, b } = await open()
      const put = await world.run(putOf(world, a))
      const since = world.clock.wallMicros()
      const first = await world.run(
        world.call(a, putObject, { ...put, attempt: { route: 1, sinceMicros: since } }),
      )
      const remove = { bucket: 'b', owner: 'o', items: [{ op: world.op(), key: 'k' }] }
      await world.run(world.call(b, deleteObjects, remove))
      if (isMoved) expect(await move(world, a, 1)).to.equal(2)
      const attempt = { sinceMicros: since, ...(isMoved ? { route: 2, firstRoute: 1 } : { route: 1 }) }
      const double = await world.run(world.call(a, putObject, { ...put, attempt }))
      expect(double.modifiedMs).to.equal(first.modifiedMs)
      const found = await world.run(rejection(world.call(b, getObject, { bucket: 'b', key: 'k' })))
      expect(found.code).to.equal('NoSuchKey')
    }
  })

  it('says that it does not know where others have written the key since', async () => {
    const { world, a, b } = await open()
    const put = await world.run(putOf(world, a))
    const since = world.clock.wallMicros()
    const other = await world.run(putOf(world, a))
    await world.run(world.call(a, putObject, other))
    const remove = { bucket: 'b', owner: 'o', items: [{ op: world.op(), key: 'k' }] }
    await world.run(world.call(a, deleteObjects, remove))
    await move(world, b, 1)
    const attempt = { route: 2, firstRoute: 1, sinceMicros: since }
    expect((await world.run(rejection(world.call(b, putObject, { ...put, attempt })))).code).to.equal(
      'OutcomeUnknown',
    )
  })

  it('does at once what surely has not happened', async () => {
    const { world, a, b } = await open()
    const put = await world.run(putOf(world, a))
    await move(world, b, 1)
    const attempt = { route: 2, firstRoute: 1, sinceMicros: world.clock.wallMicros() }
    await world.run(world.call(b, putObject, { ...put, attempt }))
    await world.run(world.call(a, getObject, { bucket: 'b', key: 'k' }))
    await world.run(world.call(b, renewSession, { session: world.session }))
  })
})
