import { CairnError, hasCode } from '@cairn/protocol'
import { expect } from 'chai'
import { MIRROR_RANGE } from '../../../src/adapters/mirror/mirror-rows.js'
import { readMovedMark } from '../../../src/adapters/sqlite/sqlite-moved.js'
import { type MigratePlace, migrateStore, undoMigration } from '../../../src/adapters/transfer/migrate.js'
import type { MovableStore } from '../../../src/adapters/transfer/move-target.js'
import { CLUSTER_KEY, ClusterRow } from '../../../src/core/rows/cluster-state-rows.js'
import { MOVE_KEY } from '../../../src/core/rows/store-move.js'
import { RESTORED_KEY } from '../../../src/core/upkeep/restore-hold.js'
import type { Entry, StoreKey } from '../../../src/ports.js'
import { put, range } from '../../conformance/subject.js'
import { rejection } from '../../rejection.js'
import { delegate } from '../mirror/mirror-world.js'
import { CLUSTER_ID, createTarget, Killed, MoveWorld, rowsOf, untilKilled } from './move-world.js'

const ROWS = 1_200
const MOVE_PLACES: readonly MigratePlace[] = [
  'begun',
  'verified',
  'file marked',
  'drives marked',
  'completed',
]
const UNDO_PLACES: readonly MigratePlace[] = ['closed', 'drives unmarked', 'file unmarked', 'emptied']

describe('a migration to etcd', function () {
  this.timeout(60_000)
  let world: MoveWorld
  let old: Map<string, string>

  beforeEach(async () => {
    world = new MoveWorld()
    await world.fill(ROWS)
    old = await world.oldRows()
  })
  afterEach(async () => {
    await world.target.close()
    world.discard()
  })

  async function find(key: StoreKey): Promise<Uint8Array | undefined> {
    return (await world.target.read([{ kind: 'get', key }])).results[0]?.[0]?.value
  }

  function isOldUsable(): boolean {
    try {
      void world.open().close()
      return true
    } catch (error) {
      if (!hasCode(error, 'FormatTooNew')) throw error
      return false
    }
  }

  /** A cluster row without a move that goes on. */
  async function isNewUsable(): Promise<boolean> {
    return (await find(CLUSTER_KEY)) !== undefined && (await find(MOVE_KEY)) === undefined
  }

  async function expectMoved(): Promise<void> {
    const rows = await rowsOf(world.target)
    const isNew = (key: string): boolean => ['m/cluster', 'm/restored'].includes(key)
    const copied = [...rows].filter(([key]) => !isNew(key))
    expect(new Map(copied)).to.deep.equal(new Map([...old].filter(([key]) => !isNew(key))))
    expect([isOldUsable(), await isNewUsable()]).to.deep.equal([false, true])
  }

  it('carries every row over, but for those of living sessions, into a new life', async () => {
    const report = await migrateStore({ ...world.options(), resume: false })
    expect([report.clusterId, report.rows, report.unmarkedDrives]).to.deep.equal([CLUSTER_ID, old.size, []])
    await expectMoved()
    const row = ClusterRow.decode((await find(CLUSTER_KEY)) ?? Buffer.alloc(0))
    expect([row.clusterId, row.incarnation, row.epoch > 7]).to.deep.equal([
      CLUSTER_ID,
      report.incarnation,
      true,
    ])
    expect(row.incarnation).to.not.equal('first')
    expect(await find(RESTORED_KEY), 'garbage is held').to.not.equal(undefined)
    expect(await find(Buffer.from('s/session'))).to.equal(undefined)
  })

  it('refuses a prefix in use, and leaves both as they were', async () => {
    await world.write(world.target, { compares: [], puts: [put('i/theirs', '1')] })
    const error = await rejection(migrateStore({ ...world.options(), resume: true }))
    expect([error.code, isOldUsable(), (await rowsOf(world.target)).has('i/theirs')]).to.deep.equal([
      'InvalidArgument',
      true,
      true,
    ])
  })

  for (const place of MOVE_PLACES) {
    it(`never leaves two usable stores when it is killed at "${place}", and goes on`, async () => {
      expect(await world.migrateUntil(place)).to.equal(true)
      const usable = [isOldUsable(), await isNewUsable()]
      const expected = { begun: [true, false], verified: [true, false], completed: [false, true] }
      expect(usable).to.deep.equal(expected[place as keyof typeof expected] ?? [false, false])
      if (place !== 'completed') {
        const refused = await rejection(migrateStore({ ...world.options(), resume: false }))
        expect(refused.message).to.include('--resume')
      }
      await migrateStore({ ...world.options(), resume: true })
      await expectMoved()
    })

    it(`is taken back after it was killed at "${place}"`, async () => {
      await world.migrateUntil(place)
      await undoMigration(world.options())
      expect(await world.oldRows()).to.deep.equal(old)
      const { results } = await world.target.read([{ kind: 'scan', range: range('\0', '\x7f'), limit: 10 }])
      expect(results[0]).to.deep.equal([])
      expect(await world.migrateUntil('emptied')).to.equal(false)
      await expectMoved()
    })
  }

  for (const place of UNDO_PLACES) {
    it(`never leaves two usable stores when its undo is killed at "${place}", and can go either way`, async () => {
      await migrateStore({ ...world.options(), resume: false })
      expect(await world.undoUntil(place)).to.equal(true)
      expect(await isNewUsable()).to.equal(false)
      expect(isOldUsable()).to.equal(['file unmarked', 'emptied'].includes(place))
      await undoMigration(world.options())
      expect(await world.oldRows()).to.deep.equal(old)
      await migrateStore({ ...world.options(), resume: true })
      await expectMoved()
    })
  }

  it('goes on after a kill before or after any of its entries', async () => {
    const real = world.target
    for (let kill = 0, wasKilled = true; wasKilled; kill++) {
      let entries = 0
      world.target = withApply(real, async (entry) => {
        if (entries++ * 2 === kill) throw new Killed('before')
        const results = await real.apply(entry)
        if (entries * 2 - 1 === kill) throw new Killed('after')
        return results
      })
      wasKilled = await untilKilled(migrateStore({ ...world.options(), resume: true }))
      world.target = real
    }
    await expectMoved()
  })

  it('needs no history of etcd, and asks it for no range that may be wide, on the way there and back', async () => {
    const real = world.target
    world.target = {
      ...delegate(real),
      page: (within, limit, revision) =>
        revision === undefined ? real.page(within, limit) : Promise.reject(new Error('history was dropped')),
      read: (reads) =>
        reads.some((read) => read.kind === 'scan' && Buffer.compare(read.range.to, MIRROR_RANGE.to) === 0)
          ? Promise.reject(new Error('a wide range'))
          : real.read(reads),
    }
    await migrateStore({ ...world.options(), resume: false })
    await undoMigration(world.options())
    world.target = real
    expect([(await rowsOf(real)).size, isOldUsable()]).to.deep.equal([0, true])
  })

  it('is whole although every answer is lost once, before or after its entry', async () => {
    const real = world.target
    let calls = 0
    world.target = withApply(real, async (entry) => {
      const turn = calls++ % 3
      const lost = new CairnError('OutcomeUnknown', 'lost')
      if (turn === 0) throw lost
      const results = await real.apply(entry)
      if (turn === 1) throw lost
      return results
    })
    await migrateStore({ ...world.options(), resume: false })
    world.target = real
    await expectMoved()
  })

  it('notices a row that is missing or other than in the source', async () => {
    const real = world.target
    for (const harm of ['drop', 'change'] as const) {
      world.target = withApply(real, (entry) => real.apply(harmed(entry, 'i/01000', harm)))
      const error = await rejection(migrateStore({ ...world.options(), resume: true }))
      expect([error.code, isOldUsable()]).to.deep.equal(['MessageCorrupt', true])
      world.target = createTarget()
      await world.target.close()
      world.target = real
      await undoMigration(world.options())
    }
  })

  it('copies anew when the source has changed since the attempt before', async () => {
    await world.migrateUntil('verified')
    const store = world.open()
    await world.write(store, {
      compares: [],
      puts: [put('i/00003', 'changed')],
      deletes: [Buffer.from('i/00005')],
    })
    await store.close()
    old = await world.oldRows()
    await migrateStore({ ...world.options(), resume: true })
    await expectMoved()
  })

  it('is not taken back once somebody has written to etcd', async () => {
    await migrateStore({ ...world.options(), resume: false })
    await world.write(world.target, { compares: [], puts: [put('i/new', 'acknowledged')] })
    const error = await rejection(undoMigration(world.options()))
    expect([error.code, isOldUsable(), await isNewUsable()]).to.deep.equal(['InvalidArgument', false, true])
  })

  it('is not taken back against another etcd than the one it went to', async () => {
    await migrateStore({ ...world.options(), resume: false })
    const real = world.target
    world.target = createTarget()
    expect((await rejection(undoMigration(world.options()))).code).to.equal('InvalidArgument')
    expect(isOldUsable()).to.equal(false)
    await world.target.close()
    world.target = real
  })

  it('does not go to a second etcd once it has gone to one', async () => {
    await migrateStore({ ...world.options(), resume: false })
    const real = world.target
    world.target = createTarget()
    const error = await rejection(migrateStore({ ...world.options(), prefix: '/other/', resume: true }))
    expect([error.code, await isNewUsable()]).to.deep.equal(['InvalidArgument', false])
    await world.target.close()
    world.target = real
    await expectMoved()
  })

  it('keeps the old store closed when a part of it that was left in another etcd is taken back', async () => {
    const left = world.target
    await world.migrateUntil('verified')
    world.target = createTarget()
    await migrateStore({ ...world.options(), prefix: '/other/', resume: false })
    await expectMoved()
    const real = world.target
    world.target = left
    expect((await rejection(undoMigration(world.options()))).message).to.include('/other/')
    world.target = real
    await expectMoved()
    await left.close()
  })

  it('says in the old file where the metadata went', async () => {
    await migrateStore({ ...world.options(), resume: false })
    const { endpoints, prefix } = readMovedMark(world.path) ?? {}
    expect([endpoints, prefix]).to.deep.equal([['etcd:2379'], '/cairn/'])
  })
})

function withApply(store: MovableStore, apply: MovableStore['apply']): MovableStore {
  return { ...delegate(store), apply }
}

/** Without one of its rows, or with another value there. */
function harmed(entry: Entry, name: string, harm: 'drop' | 'change'): Entry {
  const commits = entry.commits.map((commit) => ({
    ...commit,
    puts: (commit.puts ?? []).flatMap((row) => {
      if (Buffer.from(row.key).toString() !== name) return [row]
      return harm === 'drop' ? [] : [{ ...row, value: Buffer.from('other') }]
    }),
  }))
  return { ...entry, commits }
}
