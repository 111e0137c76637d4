import {
  type DriveRegistration,
  type DriveReport,
  drivesOfGroup,
  GROUPS_PER_POOL,
  type RegisterServerRequest,
} from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { ClusterState } from '../../../src/core/cluster/cluster-state.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { poolKey } from '../../../src/core/rows/cluster-state-rows.js'
import { isGarbageHeld } from '../../../src/core/upkeep/restore-hold.js'
import type { KeyValueStore, Read } from '../../../src/ports.js'
import { rejection } from '../../rejection.js'

const random = createSeededRandom(11)
const clock = createSimulatedClock(random)

function openStore(): KeyValueStore {
  return createKeyValueStore({ store: createMemoryEntryStore({ clock }), clock, random, service: 'm1' })
}

function server(at: number, ids: string[], place: Partial<DriveRegistration> = {}): RegisterServerRequest {
  return {
    member: { id: `c${at}`, address: `local:c${at}`, zone: '', rack: '', host: `h${at}` },
    drives: ids.map((id) => ({
      id: idOf(id),
      capacityBytes: 1e12,
      path: `/drives/${at}`,
      device: '8:1',
      parent: '8:1/2',
      ...place,
    })),
  }
}

/** Whatever store there is at the time of the call. */
function overCurrent(current: () => KeyValueStore): KeyValueStore {
  return {
    commit: (commit) => current().commit(commit),
    read: (reads) => current().read(reads),
    readAuthority: (reads) => current().readAuthority(reads),
    watch: (range, fromRevision, signal) => current().watch(range, fromRevision, signal),
    grantLease: (ttlMs) => current().grantLease(ttlMs),
    renewLease: (lease) => current().renewLease(lease),
    revokeLease: (lease) => current().revokeLease(lease),
    close: () => current().close(),
  }
}

async function openCluster(store: KeyValueStore): Promise<ClusterState> {
  return ClusterState.open({ store, clock, random, replicas: 3, drivesExpected: 3 })
}

async function openFilled(store: KeyValueStore): Promise<ClusterState> {
  const cluster = await openCluster(store)
  for (const at of [1, 2, 3]) await cluster.register(server(at, [String(at)]))
  return cluster
}

const idOf = (id: string): string => id.padStart(16, '0')

function reportOf(id: string, healthy = true): DriveReport {
  const numbers = { capacityBytes: 1e12, freeBytes: 5e11, liveBytes: 0, deadBytes: 0, blockCount: 0 }
  return { drive: idOf(id), healthy, damagedBlocks: 0, ...numbers }
}

const run = <T>(work: Promise<T>): Promise<T> => clock.runUntil(work)

describe('ClusterState', () => {
  it('makes one cluster, however many services open the store at once', async () => {
    const store = openStore()
    const [a, b] = await run(Promise.all([openCluster(store), openCluster(store)]))
    expect(a.known.clusterId)
      .to.equal(b.known.clusterId)
      .and.to.match(/^[0-9a-f]{32}$/)
    expect(a.known.incarnation).to.equal(b.known.incarnation)
  })

  it('refuses a store of another cluster', async () => {
    const store = openStore()
    await run(openCluster(store))
    const options = { store, clock, random, replicas: 3, drivesExpected: 3, clusterId: 'other' }
    expect((await rejection(run(ClusterState.open(options)))).code).to.equal('PeerRejected')
  })

  it('makes the first pool when enough drives have registered, one replica for each host', async () => {
    const cluster = await run(openCluster(openStore()))
    await run(cluster.register(server(1, ['1'])))
    await run(cluster.register(server(2, ['2'])))
    expect(cluster.known.pools).to.deep.equal([])
    await run(cluster.register(server(3, ['3'])))
    const map = await run(cluster.current())
    expect(map.defaultPool).to.equal(1)
    expect(map.pools[0]).to.include({ id: 1, name: 'default', epoch: 1, replicas: 3, failureDomain: 'host' })
    for (let group = 0; group < GROUPS_PER_POOL; group++) {
      const pool = map.pools[0]
      expect(new Set(pool === undefined ? [] : drivesOfGroup(pool, group)).size).to.equal(3)
    }
  })

  it('changes nothing when a server registers again, in this service or another', async () => {
    const store = openStore()
    const cluster = await run(openFilled(store))
    const epoch = cluster.known.epoch
    expect(await run(cluster.register(server(2, ['2'])))).to.equal(epoch)
    const other = await run(openCluster(store))
    expect(await run(other.register(server(3, ['3'])))).to.equal(epoch)
  })

  it('registers servers at once without losing one', async () => {
    const store = openStore()
    const services = await run(Promise.all([openCluster(store), openCluster(store), openCluster(store)]))
    await run(Promise.all(services.map((service, at) => service.register(server(at, [String(at)])))))
    const maps = await run(Promise.all(services.map((service) => service.current())))
    for (const map of maps) {
      expect(map.members).to.have.length(3)
      expect(map.drives).to.have.length(3)
      expect(map.pools).to.have.length(1)
    }
  })

  it('lets a drive made anew at the same place take over the groups of the old one', async () => {
    const cluster = await run(openFilled(openStore()))
    const before = cluster.known
    await run(cluster.register(server(2, ['a2'])))
    const after = cluster.known
    expect(after.epoch).to.equal(before.epoch + 1)
    expect(after.pools[0]?.epoch).to.equal(2)
    expect(after.drives.find(({ id }) => id.endsWith('0002'))?.state).to.equal('out')
    expect(after.pools[0]?.drives).to.include('a2'.padStart(16, '0')).and.not.include('2'.padStart(16, '0'))
  })

  for (const place of [{ path: '/other' }, { device: '8:9' }, { parent: '8:1/9' }]) {
    it(`only adds a new drive whose ${Object.keys(place)[0]} differs`, async () => {
      const cluster = await run(openFilled(openStore()))
      await run(cluster.register(server(2, ['a2'], place)))
      expect(cluster.known.pools[0]?.epoch).to.equal(1)
      expect(cluster.known.pools[0]?.drives).to.include('2'.padStart(16, '0'))
      expect(cluster.known.drives.map((drive) => drive.state)).to.deep.equal(['up', 'up', 'up', 'up'])
    })
  }

  it('does not give the groups of a drive that is still there to another', async () => {
    const cluster = await run(openFilled(openStore()))
    await run(cluster.register(server(2, ['2', 'a2'])))
    expect(cluster.known.pools[0]?.epoch).to.equal(1)
  })

  it('keeps a drive out that was given up', async () => {
    const cluster = await run(openFilled(openStore()))
    await run(cluster.register(server(2, ['a2'])))
    await run(cluster.register(server(2, ['2'], { device: '8:7' })))
    expect(cluster.known.drives.find(({ id }) => id.endsWith('0002'))?.state).to.equal('out')
  })

  it('gives a drive that is back its groups again once its replacement has gone', async () => {
    const cluster = await run(openFilled(openStore()))
    await run(cluster.register(server(2, ['a2'])))
    await run(cluster.register(server(2, ['2'])))
    expect(cluster.known.pools[0]?.drives)
      .to.include('2'.padStart(16, '0'))
      .and.not.include('a2'.padStart(16, '0'))
    expect(cluster.known.pools[0]?.epoch).to.equal(3)
    const stateOf = (id: string) => cluster.known.drives.find((drive) => drive.id.endsWith(id))?.state
    expect([stateOf('0002'), stateOf('00a2')]).to.deep.equal(['up', 'out'])
  })

  it('leaves the groups to the replacement while it is there', async () => {
    const cluster = await run(openFilled(openStore()))
    await run(cluster.register(server(2, ['a2'])))
    await run(cluster.register(server(2, ['a2', '2'])))
    expect(cluster.known.pools[0]?.drives).to.include('a2'.padStart(16, '0'))
    expect(cluster.known.drives.find(({ id }) => id.endsWith('0002'))?.state).to.equal('out')
  })

  it('fences writes of an old pool epoch, known or not', async () => {
    const store = openStore()
    const cluster = await run(openFilled(store))
    const other = await run(openCluster(store))
    const compare = await run(other.poolCompare(1, 1))
    expect(compare).to.deep.include({ kind: 'revision', key: poolKey(1) })
    await run(cluster.register(server(2, ['a2'])))
    const stale = await rejection(run(cluster.poolCompare(1, 1)))
    expect(stale).to.include({ code: 'StaleClusterMap' })
    expect(stale.details).to.deep.equal({ epoch: '2' })
    expect((await run(other.poolCompare(1, 2))).kind).to.equal('revision')
    expect((await rejection(run(other.poolCompare(9, 1)))).code).to.equal('StaleClusterMap')
  })

  it('asks a server that it does not know to register', async () => {
    const cluster = await run(openFilled(openStore()))
    const error = await rejection(run(cluster.report({ server: 'nobody', reports: [] })))
    expect(error.code).to.equal('NoSuchDrive')
    expect(await run(cluster.report({ server: 'c1', reports: [] }))).to.equal(cluster.known.epoch)
    expect(cluster.heartbeats.all().map((beat) => beat.server)).to.deep.equal(['c1'])
    expect(cluster.heartbeats.silentMs('c2')).to.equal(undefined)
  })

  it('hears the other drives of a server though one that has failed is not in the map', async () => {
    const cluster = await run(openFilled(openStore()))
    await run(cluster.report({ server: 'c1', reports: [reportOf('1'), reportOf('9', false)] }))
    expect(cluster.heartbeats.ofDrive(idOf('1'))?.report.healthy).to.equal(true)
    expect(cluster.heartbeats.ofDrive(idOf('9'))).to.equal(undefined)
  })

  it('asks a server with a healthy drive that is not in the map to register', async () => {
    const cluster = await run(openFilled(openStore()))
    const error = await rejection(
      run(cluster.report({ server: 'c1', reports: [reportOf('1'), reportOf('9')] })),
    )
    expect(error.code).to.equal('NoSuchDrive')
    expect(cluster.heartbeats.silentMs('c1')).to.equal(undefined)
  })

  it('believes only its own server of a drive that another one has a failed copy of', async () => {
    const cluster = await run(openFilled(openStore()))
    await run(cluster.report({ server: 'c1', reports: [reportOf('1')] }))
    await run(cluster.report({ server: 'c2', reports: [reportOf('2'), reportOf('1', false)] }))
    expect(cluster.heartbeats.ofDrive(idOf('1'))?.report.healthy).to.equal(true)
    expect(cluster.heartbeats.ofDrive(idOf('2'))?.report.healthy).to.equal(true)
  })

  it('hears of a failed drive that another service has entered meanwhile', async () => {
    const store = openStore()
    const cluster = await run(openFilled(store))
    const other = await run(openCluster(store))
    await run(other.register(server(1, ['1', '9'])))
    await run(cluster.report({ server: 'c1', reports: [reportOf('1'), reportOf('9', false)] }))
    expect(cluster.heartbeats.ofDrive(idOf('9'))?.report.healthy).to.equal(false)
  })

  it('goes back with a store that was restored from an older copy of itself, and holds garbage', async () => {
    const older = openStore()
    const { epoch } = (await run(openCluster(older))).known
    let store = openStore()
    const cluster = await run(openFilled(overCurrent(() => store)))
    store = older
    expect((await run(cluster.current())).epoch)
      .to.equal(epoch)
      .and.to.be.below(4)
    expect(await run(isGarbageHeld(older))).to.equal(true)
    expect(await run(cluster.register(server(1, ['1'])))).to.equal(epoch + 1)
  })

  it('asks the store itself when its copy seems to have gone back', async () => {
    const older = openStore()
    await run(openCluster(older))
    const store = openStore()
    let copy = store
    const lossy = { ...overCurrent(() => store), read: (reads: readonly Read[]) => copy.read(reads) }
    const cluster = await run(openFilled(lossy))
    const { epoch } = cluster.known
    copy = older
    expect((await run(cluster.current())).epoch).to.equal(epoch)
    expect(await run(isGarbageHeld(store))).to.equal(false)
  })

  it('keeps the newer of two readings that overlap', async () => {
    const store = openStore()
    let holdBack = (read: ReturnType<KeyValueStore['read']>): ReturnType<KeyValueStore['read']> => read
    const held: KeyValueStore = { ...overCurrent(() => store), read: (reads) => holdBack(store.read(reads)) }
    const cluster = await run(openFilled(held))
    let release = (): void => undefined
    holdBack = async (read) => {
      const result = await read
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return result
    }
    const late = cluster.refresh()
    await clock.advance(1)
    holdBack = (read) => read
    await run((await run(openCluster(store))).register(server(4, ['4'])))
    const { epoch } = await run(cluster.refresh())
    release()
    expect((await run(late)).epoch).to.equal(epoch)
    expect(cluster.known.epoch).to.equal(epoch)
  })

  it('refuses a registration without proper ids', async () => {
    const cluster = await run(openCluster(openStore()))
    const twice = server(1, ['1', '1'])
    expect((await rejection(run(cluster.register(twice)))).code).to.equal('InvalidArgument')
  })
})
