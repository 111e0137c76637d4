import type { ChangeDrivesRequest, DriveAction } from '@cairn/protocol'
import { expect } from 'chai'
import { summarizeDrives } from '../../../src/core/cluster/drive-summaries.js'
import { planWish } from '../../../src/core/cluster/drive-wishes.js'
import { rejection } from '../../rejection.js'
import { idOf, RepairWorld } from '../../repair-world.js'

const codeOf = async (work: Promise<unknown>): Promise<string> => (await rejection(work)).code

describe('wishes for drives', () => {
  let world: RepairWorld
  beforeEach(async () => {
    world = await RepairWorld.open()
  })

  function wish(
    action: DriveAction,
    rest: Partial<Omit<ChangeDrivesRequest, 'action'>> = {},
  ): Promise<boolean> {
    const request = { action, drives: [], servers: [], force: false, ...rest }
    return world.run(world.cluster.change((state) => planWish(state, request, (id) => world.states.of(id))))
  }

  function stateOf(at: number): string | undefined {
    return world.cluster.known.drives.find(({ id }) => id === idOf(at))?.state
  }

  /** Server `at` is not heard for so long that its drive does not count as up any more. */
  async function silence(at: number): Promise<void> {
    world.drive(at).isUp = false
    for (let passedMs = 0; passedMs < 40_000; passedMs += 2_000) {
      await world.clock.advance(2_000)
      await world.run(world.beat())
    }
  }

  it('refuse to empty a drive whose copies would have no place', async () => {
    expect(await codeOf(wish('drain', { drives: [idOf(1)] }))).to.equal('PreconditionFailed')
    expect(await codeOf(wish('drain', { servers: ['c1'] }))).to.equal('PreconditionFailed')
    expect(stateOf(1)).to.equal('up')
  })

  it('refuse to let copies share a failure domain, unless forced', async () => {
    await world.run(world.register(4, idOf(4), { host: 'h1' }))
    expect(await codeOf(wish('drain', { drives: [idOf(2)] }))).to.equal('PreconditionFailed')
    expect(await wish('drain', { drives: [idOf(2)], force: true })).to.equal(true)
    expect(stateOf(2)).to.equal('draining')
  })

  it('empty a node, and use it again; twice is once', async () => {
    await world.run(world.register(4, idOf(4)))
    expect(await wish('drain', { servers: ['c2'] })).to.equal(true)
    expect(await wish('drain', { servers: ['c2'] })).to.equal(false)
    expect(stateOf(2)).to.equal('draining')
    await world.run(world.register(2, idOf(2)))
    expect(stateOf(2), 'after a restart of its server').to.equal('draining')
    expect(await wish('undrain', { servers: ['c2'] })).to.equal(true)
    expect(stateOf(2)).to.equal('up')
    expect(await wish('undrain', { servers: ['c2'] })).to.equal(false)
  })

  it('replace a drive by an unused one only', async () => {
    await world.run(world.register(4, idOf(4)))
    expect(await codeOf(wish('replace', { drives: [idOf(1), idOf(2)] }))).to.equal('PreconditionFailed')
    expect(await wish('replace', { drives: [idOf(1), idOf(4)] })).to.equal(true)
    expect(stateOf(1)).to.equal('draining')
    expect(await wish('replace', { drives: [idOf(1), idOf(4)] }), 'twice is once').to.equal(false)
    await world.run(world.look())
    expect(await wish('replace', { drives: [idOf(1), idOf(4)] }), 'also under way').to.equal(false)
  })

  /** Another drive of server `at`, which is heard from then on. */
  async function addDrive(at: number, id: number): Promise<void> {
    const member = { id: `c${at}`, address: `local:c${at}`, zone: '', rack: '', host: `h${at}` }
    const drive = { id: idOf(id), capacityBytes: 1e9, path: `/d${id}`, device: '1', parent: '1' }
    world.mender.add(idOf(id))
    await world.run(world.cluster.register({ member, drives: [drive] }))
    await world.run(world.beat())
  }

  it('replace a node by one with as many unused drives that answer, all at once', async () => {
    await world.run(world.register(4, idOf(4)))
    const byC4 = { servers: ['c1', 'c4'] }
    await addDrive(1, 11)
    expect(await wish('add', { drives: [idOf(11)] })).to.equal(true)
    await world.run(world.look())
    const refused = await rejection(wish('replace', byC4))
    expect([refused.code, refused.message]).to.deep.equal([
      'PreconditionFailed',
      `2 unused drives that answer are needed, and there are 0; drive ${idOf(4)} holds groups already`,
    ])
    await world.run(world.register(5, idOf(5)))
    expect(await codeOf(wish('replace', { servers: ['c1', 'c5'] })), 'one for two').to.equal(
      'PreconditionFailed',
    )
    await addDrive(5, 15)
    expect(await wish('replace', { servers: ['c1', 'c5'] })).to.equal(true)
    expect([1, 11, 5, 15].map(stateOf)).to.deep.equal(['draining', 'draining', 'up', 'up'])
    await world.run(world.look())
    expect(await wish('replace', { servers: ['c1', 'c5'] }), 'twice is once').to.equal(false)
  })

  it('replace one by another of its kind, and nothing else', async () => {
    await world.run(world.register(4, idOf(4)))
    const wrong = [
      { drives: [idOf(1)] },
      { drives: [idOf(1), idOf(1)] },
      { drives: [idOf(1)], servers: ['c4'] },
      { servers: ['c1', 'c1'] },
      { servers: ['c1', 'c2', 'c4'] },
    ]
    for (const names of wrong) expect(await codeOf(wish('replace', names))).to.equal('InvalidArgument')
  })

  const joining = (at: number): number => {
    const found = summarizeDrives(world.cluster, world.states).find(({ id }) => id === idOf(at))
    return (found?.joining ?? 0) + (found?.positions ?? 0)
  }

  it('use a new drive now, also where none is used without a word; twice is once', async () => {
    await world.run(world.register(4, idOf(4)))
    await world.run(world.look())
    expect(joining(4), 'before').to.equal(0)
    expect(await wish('add', { servers: ['c4'] })).to.equal(true)
    expect(await wish('add', { drives: [idOf(4)] })).to.equal(false)
    await world.run(world.look())
    expect(joining(4)).to.be.greaterThan(0)
    expect(await wish('add', { servers: ['c4'] })).to.equal(false)
    expect(await wish('add', { servers: ['c1'] }), 'one in use').to.equal(false)
  })

  it('use a drive that was drained, and a spare', async () => {
    await world.run(world.register(4, idOf(4)))
    expect(await wish('drain', { drives: [idOf(4)] })).to.equal(true)
    await world.run(world.look())
    expect(stateOf(4)).to.equal('out')
    expect(await wish('add', { drives: [idOf(4)] })).to.equal(true)
    expect(stateOf(4)).to.equal('up')
    await world.run(world.look())
    expect(joining(4)).to.be.greaterThan(0)
  })

  it('use no drive that does not answer, and tell how an unknown one joins', async () => {
    await world.run(world.register(4, idOf(4)))
    await silence(4)
    expect(await codeOf(wish('add', { drives: [idOf(4)] }))).to.equal('PreconditionFailed')
    expect((await rejection(wish('add', { drives: ['none'] }))).message).to.include('CAIRN_DRIVES')
    expect((await rejection(wish('add', { servers: ['none'] }))).message).to.include('is started')
  })

  it('never forget a drive that holds groups or answers', async () => {
    await world.run(world.register(4, idOf(4)))
    expect(await codeOf(wish('remove', { drives: [idOf(1)] }))).to.equal('PreconditionFailed')
    const refused = await rejection(wish('remove', { servers: ['c4'] }))
    expect([refused.code, refused.message]).to.deep.equal([
      'PreconditionFailed',
      `drive ${idOf(4)} still answers, or did so a moment ago: stop its server first, and wait for CAIRN_SUSPECT_SECONDS`,
    ])
    await silence(4)
    expect(await wish('remove', { servers: ['c4'] })).to.equal(true)
    expect(stateOf(4)).to.equal(undefined)
    expect(world.cluster.known.members.map(({ id }) => id)).to.not.include('c4')
  })

  it('name what is not known', async () => {
    expect(await codeOf(wish('drain', { drives: ['none'] }))).to.equal('InvalidArgument')
    expect(await codeOf(wish('drain', { servers: ['none'] }))).to.equal('InvalidArgument')
  })

  const now = (): number => world.cluster.known.epoch

  it('are refused once somebody has wanted something else of the drive since they were asked', async () => {
    await world.run(world.register(4, idOf(4)))
    const drain = { drives: [idOf(2)], epoch: now() }
    expect(await wish('drain', drain)).to.equal(true)
    expect(await wish('drain', drain), 'a repeat is done').to.equal(false)
    expect(await wish('undrain', { drives: [idOf(2)], epoch: now() })).to.equal(true)
    const late = await rejection(wish('drain', drain))
    expect([late.code, late.message]).to.deep.equal([
      'PreconditionFailed',
      `what is wanted of drive ${idOf(2)} was changed meanwhile: look, and say it again`,
    ])
    expect(stateOf(2)).to.equal('up')
    expect(await wish('drain', { ...drain, epoch: now() }), 'said again').to.equal(true)
  })

  it('come too late also after a wish that found everything as it should be', async () => {
    await world.run(world.register(4, idOf(4)))
    const drain = { servers: ['c2'], epoch: now() }
    expect(await wish('undrain', { drives: [idOf(2)], epoch: now() })).to.equal(true)
    expect(await codeOf(wish('drain', drain))).to.equal('PreconditionFailed')
  })

  it('forget no drive that has come back since they were asked', async () => {
    await world.run(world.register(4, idOf(4)))
    await silence(4)
    const remove = { servers: ['c4'], epoch: now() }
    expect(await wish('remove', remove)).to.equal(true)
    await world.run(world.register(4, idOf(4)))
    expect(await codeOf(wish('remove', remove))).to.equal('PreconditionFailed')
    expect(stateOf(4)).to.equal('up')
  })

  it('begin no rebalancing that was asked before the last', async () => {
    await world.run(world.register(4, idOf(4)))
    const epoch = now()
    expect(await wish('rebalance', { epoch })).to.equal(true)
    expect(await wish('rebalance', { epoch })).to.equal(false)
    const finished = { members: [], drives: [], pools: [], indebted: [], rebalancing: false }
    await world.run(world.cluster.change(() => finished))
    expect(await wish('rebalance', { epoch })).to.equal(false)
    expect(world.cluster.isRebalancing).to.equal(false)
  })

  it('keep the wish to rebalance until it has come true', async () => {
    await world.run(world.register(4, idOf(4)))
    expect(await wish('rebalance')).to.equal(true)
    expect(world.cluster.isRebalancing).to.equal(true)
    expect(await wish('rebalance')).to.equal(false)
  })
})

describe('a drive id that two servers present', () => {
  const registration = (world: RepairWorld, at: number, id: string) => {
    const member = { id: `c${at}`, address: `local:c${at}`, zone: '', rack: '', host: `h${at}` }
    const drive = { id, capacityBytes: 1e9, path: '/copy', device: '2', parent: '2' }
    return world.run(world.cluster.register({ member, drives: [drive] }))
  }

  it('is refused to the second while the first is alive', async () => {
    const world = await RepairWorld.open()
    expect(await codeOf(registration(world, 9, idOf(1)))).to.equal('PeerRejected')
    expect(world.cluster.drives.get(idOf(1))?.drive.server).to.equal('c1')
    expect(world.cluster.known.members.map(({ id }) => id)).to.not.include('c9')
  })

  it('moves to the second once the first reports without it', async () => {
    const world = await RepairWorld.open()
    await world.run(world.cluster.report({ server: 'c1', reports: [] }))
    await registration(world, 9, idOf(1))
    expect(world.cluster.drives.get(idOf(1))?.drive.server).to.equal('c9')
  })

  it('moves to the second once its folder has been gone from the first for a while', async () => {
    const world = await RepairWorld.open()
    const beat = (gone: boolean) => {
      const numbers = { capacityBytes: 1e9, freeBytes: 1e9, liveBytes: 0, deadBytes: 0, blockCount: 0 }
      const report = { drive: idOf(1), healthy: !gone, gone, ...numbers }
      return world.run(world.cluster.report({ server: 'c1', reports: [report] }))
    }
    await beat(false)
    await beat(true)
    expect(await codeOf(registration(world, 9, idOf(1))), 'a moment without').to.equal('PeerRejected')
    for (let passedMs = 0; passedMs < 15_000; passedMs += 3_000) {
      await world.clock.advance(3_000)
      await beat(true)
    }
    await registration(world, 9, idOf(1))
    expect(world.cluster.drives.get(idOf(1))?.drive.server).to.equal('c9')
    await beat(true)
    expect(world.cluster.heartbeats.silentMs('c1')).to.equal(0)
  })

  it('moves to the second once the first is silent', async () => {
    const world = await RepairWorld.open()
    await world.clock.advance(15_000)
    await registration(world, 9, idOf(1))
    expect(world.cluster.drives.get(idOf(1))?.drive.server).to.equal('c9')
  })
})
