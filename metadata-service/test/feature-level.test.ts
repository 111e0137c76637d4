import {
  type FeatureLevelReport,
  featureLevel,
  getClusterMap,
  openSession,
  putObject,
  registerServer,
  renewSession,
  type SessionId,
} from '@cairn/protocol'
import { expect } from 'chai'
import { CLUSTER_KEY, ClusterRow } from '../src/core/rows/cluster-state-rows.js'
import { rejection } from './rejection.js'
import { identityOf, type PausableService, SeveralServices } from './several-services.js'

const DEADLINE = { deadlineMs: 20_000 }

class Upgrade extends SeveralServices {
  startAt(name: string, level: number): Promise<PausableService> {
    return this.run(this.start(name, { identity: { ...identityOf('metadata', name), featureLevel: level } }))
  }

  register({ peer }: PausableService, level: number, runStart = level): Promise<unknown> {
    const member = { id: 'c1', address: `local:c1-${runStart}`, zone: '', rack: '', host: 'h' }
    const drive = { id: '0'.repeat(16), capacityBytes: 1e9, path: '/d', device: '1', parent: '1' }
    const request = { member: { ...member, featureLevel: level, runStart }, drives: [drive] }
    return this.run(peer.call(registerServer, request, DEADLINE))
  }

  async openAt({ peer }: PausableService, level: number): Promise<SessionId> {
    const request = { role: 'gateway', name: `g${level}`, featureLevel: level }
    const { response } = await this.run(peer.call(openSession, request, DEADLINE))
    return Uint8Array.from(response.session) as SessionId
  }

  level(at: PausableService, raise = false): Promise<FeatureLevelReport> {
    return this.run(this.call(at, featureLevel, { raise }))
  }

  /** Announces a level, as one who then died. */
  async announce(target: number): Promise<void> {
    const { results } = await this.run(this.store.read([{ kind: 'get', key: CLUSTER_KEY }]))
    const row = results[0]?.[0]
    if (row === undefined) throw new Error('no cluster row')
    const next = {
      ...ClusterRow.decode(row.value),
      featureLevelTarget: target,
      change: this.random.bytes(16),
    }
    const compares = [{ kind: 'revision' as const, key: CLUSTER_KEY, revision: row.revision }]
    const puts = [{ key: CLUSTER_KEY, value: ClusterRow.encode(next) }]
    await this.run(this.store.apply({ commits: [{ compares, puts }], always: [] }))
  }
}

/** The cluster was made by version 1; service `b` is of version 2 already. */
async function midway(): Promise<{ world: Upgrade; a: PausableService; b: PausableService }> {
  const world = new Upgrade()
  const a = await world.startAt('a', 1)
  const b = await world.startAt('b', 2)
  return { world, a, b }
}

describe('the feature level', () => {
  it('is that of the first service, and shown with what each member supports', async () => {
    const { world, a, b } = await midway()
    await world.register(b, 2)
    await world.openAt(a, 2)
    expect(await world.level(a)).to.deep.equal({
      level: 1,
      members: [
        { kind: 'metadata', name: 'a', level: 1 },
        { kind: 'metadata', name: 'b', level: 2 },
        { kind: 'chunk', name: 'c1', level: 2 },
        { kind: 'session', name: 'gateway g2', level: 2 },
      ],
    })
  })

  it('stays while a metadata service, a chunk server or a writer does not support the next', async () => {
    const { world, a, b } = await midway()
    await world.register(a, 1)
    await world.openAt(b, 1)
    const error = await rejection(world.level(b, true))
    expect(error.code).to.equal('PreconditionFailed')
    expect(error.message).to.equal(
      'feature level 2 is not supported by: metadata service a (1), chunk server c1 (1), session of gateway g1 (1)',
    )
    expect(await world.level(b))
      .to.include({ level: 1 })
      .and.to.not.have.property('target')
    expect((await rejection(world.level(a, true))).code).to.equal('PreconditionFailed')
  })

  it('is raised once all support it, and nobody of a lower one joins from then on', async () => {
    const { world, a, b } = await midway()
    await world.register(a, 1)
    const old = await world.openAt(a, 1)
    await world.run(a.service.close())
    await world.register(b, 2)
    await world.run(b.peer.call(renewSession, { session: old }, DEADLINE))
    expect((await rejection(world.level(b, true))).message).to.match(/session of gateway g1/)
    await world.clock.advance(11_000)
    expect(await world.level(b, true)).to.include({ level: 2 })
    expect(await world.level(b, true)).to.include({ level: 2 })

    const service = await rejection(world.startAt('a', 1))
    expect([service.code, service.message]).to.deep.equal([
      'FormatTooNew',
      'the cluster has feature level 2; this metadata service supports 1: install a newer version',
    ])
    const server = await rejection(world.register(b, 1, 9))
    expect([server.code, server.message]).to.deep.equal([
      'FormatTooNew',
      'the cluster has feature level 2; server c1 supports 1: install a newer version',
    ])
    expect((await rejection(world.openAt(b, 1))).code).to.equal('FormatTooNew')
    await world.openAt(b, 2)
  })

  it('lets nobody of a lower one join once it is announced, until it is raised or withdrawn', async () => {
    const { world, a, b } = await midway()
    await world.announce(2)
    expect((await rejection(world.startAt('c', 1))).message).to.match(/is being raised to feature level 2/)
    expect((await rejection(world.register(a, 1))).code).to.equal('FormatTooNew')
    expect((await rejection(world.openAt(b, 1))).code).to.equal('FormatTooNew')
    // A writer asks another service.
    expect((await rejection(world.openAt(a, 2))).code).to.equal('ShuttingDown')
    expect(await world.level(b)).to.include({ level: 1, target: 2 })
    expect((await rejection(world.level(b, true))).code).to.equal('PreconditionFailed')
    expect(await world.level(b)).to.not.have.property('target')
    await world.startAt('c', 1)
    await world.openAt(a, 1)
  })

  it('keeps a service away that has lost its place before a higher one was announced', async () => {
    const { world, a, b } = await midway()
    a.pause()
    await world.clock.advance(15_000)
    await world.announce(2)
    a.wake()
    await world.clock.advance(10_000)
    expect((await world.level(b)).members.map(({ name }) => name)).to.deep.equal(['b'])
    expect(await world.level(b, true)).to.include({ level: 2 })
  })

  for (let delay = 0; delay < 12; delay++) {
    it(`is not raised past a service that joins ${delay} turns after the raise began`, async () => {
      const { world, a, b } = await midway()
      await world.run(a.service.close())
      const raise = world.call(b, featureLevel, { raise: true }).then(
        ({ level }) => level,
        () => 1,
      )
      await world.clock.advance(delay)
      const identity = { ...identityOf('metadata', 'late'), featureLevel: 1 }
      const late = world.start('late', { identity }).then(
        () => 'joined',
        () => 'refused',
      )
      expect([await world.run(raise), await world.run(late)]).to.be.deep.oneOf([
        [1, 'joined'],
        [2, 'refused'],
      ])
    })
  }

  it('leaves a service behind that was paused: it commits nothing, and its writers go elsewhere', async () => {
    const { world, a, b } = await midway()
    await world.register(b, 2)
    world.session = await world.openAt(a, 2)
    await world.run(world.bucket(a))
    const space = await world.run(world.bucketSpace(a))
    const put = {
      context: { session: world.session, op: world.op(), poolEpoch: 0, dirtyGroups: [] },
      attempt: { route: 1, sinceMicros: world.clock.wallMicros() },
      ...{ bucket: 'b', space, key: 'k', map: { pool: 1, slices: [], pages: [] } },
      ...{ sizeBytes: 0, etag: 'e', owner: 'o', attributes: {} },
    }
    const late = world.call(a, putObject, put)
    late.catch(() => undefined)
    a.pause()
    for (let second = 0; second < 15; second += 3) {
      await world.clock.advance(3_000)
      await world.run(b.peer.call(renewSession, { session: world.session }, DEADLINE))
    }
    expect(await world.level(b, true)).to.include({ level: 2 })
    a.wake()
    expect((await world.run(rejection(late))).code).to.be.oneOf(['SessionMoved', 'DeadlineExceeded'])
    const again = world.call(a, putObject, put)
    expect((await world.run(rejection(again))).code).to.be.oneOf(['SessionMoved', 'ShuttingDown'])
    expect((await world.run(rejection(world.call(a, getClusterMap, {})))).code).to.equal('ShuttingDown')
  })
})

describe('a late registration of a chunk server', () => {
  it('of an earlier run is refused, and its address does not come back', async () => {
    const world = new Upgrade()
    const a = await world.startAt('a', 1)
    await world.register(a, 1, 5)
    await world.register(a, 1, 7)
    const error = await rejection(world.register(a, 1, 5))
    expect([error.code, error.details.runStart]).to.deep.equal(['PeerRejected', '7'])
    const { map } = await world.run(world.call(a, getClusterMap, {}))
    expect(map?.members.map(({ address }) => address)).to.deep.equal(['local:c1-7'])
    await world.register(a, 1, 7)
    expect((await world.run(world.call(a, getClusterMap, {}))).map?.epoch).to.equal(map?.epoch)
  })
})
