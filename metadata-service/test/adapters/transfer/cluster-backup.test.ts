import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CairnError, systemClock, systemRandom } from '@cairn/protocol'
import { expect } from 'chai'
import { backupStopped, readBackup, writeBackup } from '../../../src/adapters/transfer/backup.js'
import { backupCluster } from '../../../src/adapters/transfer/cluster-backup.js'
import { type ClusterRestoreReport, restoreCluster } from '../../../src/adapters/transfer/cluster-restore.js'
import { migrateStore } from '../../../src/adapters/transfer/migrate.js'
import type { MovableStore } from '../../../src/adapters/transfer/move-target.js'
import { MOVE_KEY } from '../../../src/core/rows/store-move.js'
import { put } from '../../conformance/subject.js'
import { rejection } from '../../rejection.js'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'
import { Ledger, rowsOfBackup } from './backup-world.js'
import { CLUSTER_ID, MoveWorld, rowsOf } from './move-world.js'

const ROWS = 3_000
const MANY_ROWS = 100_000
/** Of as many as a transaction of etcd takes. */
const ROWS_PER_ENTRY = 100
const COMPACT_MS = 1_000
const BACKUP = new URL('./backup-process.js', import.meta.url).pathname
/** Rows that a new life writes anew. */
const NEW = ['m/cluster', 'm/restored']

describe('a backup of a store in etcd', function () {
  this.timeout(120_000)
  const etcd = useEtcd()
  let world: MoveWorld
  let folder: string
  const closers: (() => void | Promise<void>)[] = []

  beforeEach(async () => {
    world = new MoveWorld()
    folder = mkdtempSync(join(tmpdir(), 'cairn-backup-'))
    await world.fill(ROWS)
  })
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
    rmSync(folder, { recursive: true, force: true })
    world.discard()
  })

  /** An empty prefix. */
  async function open(): Promise<MovableStore> {
    const { store } = await openEtcdSubject(etcd())
    closers.push(() => store.close())
    return store
  }

  async function restore(file: string, target: MovableStore): Promise<ClusterRestoreReport> {
    const backup = await readBackup(file)
    return restoreCluster({ backup, target, folder, clock: systemClock, random: systemRandom })
  }

  async function sharedRows(store: MovableStore): Promise<Map<string, string>> {
    return new Map([...(await rowsOf(store))].filter(([key]) => !NEW.includes(key)))
  }

  it('is of one moment beside writers, though etcd drops its history all the time', async () => {
    const { store } = await openEtcdSubject(etcd())
    closers.push(() => store.close())
    const ledger = new Ledger(store, world.random)
    await ledger.fill(MANY_ROWS, ROWS_PER_ENTRY)
    const file = join(folder, 'backup')
    let isOver = false
    const compacting = (async () => {
      for (let revision = 0; !isOver; await turn(COMPACT_MS)) {
        await store.compact(revision)
        revision = (await store.read([])).revision
      }
    })()
    const writing = [1, 2, 3, 4].map(async () => {
      while (!isOver) await ledger.change(MANY_ROWS)
    })
    const done = await backupCluster({ store, file, clock: systemClock }).finally(() => {
      isOver = true
    })
    await Promise.all([compacting, ...writing])
    expect([done.rows >= MANY_ROWS / 2, done.changes > 100]).to.deep.equal([true, true])
    const expected = ledger.at(done.number)
    expect(sameRows(await rowsOfBackup(file, folder), expected)).to.equal(true)
    const target = await open()
    const { rows } = await restore(file, target)
    expect(rows).to.equal(expected.size + 1)
  })

  it('leaves nothing that passes for one when it is killed', async () => {
    const { store, prefix } = await openEtcdSubject(etcd())
    closers.push(() => store.close())
    await new Ledger(store, world.random).fill(MANY_ROWS / 4, ROWS_PER_ENTRY)
    const file = join(folder, 'backup')
    const child = spawn(process.execPath, [BACKUP, etcd().endpoints[0] ?? '', prefix, file])
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(readdirSync(folder)).to.deep.equal(['backup.new'])
    expect((await rejection(readBackup(`${file}.new`))).code).to.equal('DriveFailed')
    await backupCluster({ store, file, clock: systemClock })
    expect(readdirSync(folder)).to.deep.equal(['backup'])
    expect((await rowsOfBackup(file, folder)).size).to.equal(MANY_ROWS / 4)
  })

  it('says which file has no room, and leaves nothing of it', async () => {
    const file = join(folder, 'backup')
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const error = await rejection(writeBackup(file, () => Promise.reject(full)))
    expect([error.code, error.message.includes(file)]).to.deep.equal(['DriveFull', true])
    expect(readdirSync(folder)).to.deep.equal([])
  })

  it('begins a new life', async () => {
    const source = await open()
    world.target = source
    const { incarnation } = await migrateStore({ ...world.options(), resume: false })
    const file = join(folder, 'backup')
    const before = await sharedRows(source)
    const done = await backupCluster({ store: source, file, clock: systemClock })
    const target = await open()
    const restored = await restore(file, target)
    expect([restored.rows, done.changes]).to.deep.equal([done.rows, 0])
    expect(await sharedRows(target)).to.deep.equal(before)
    expect(restored.incarnation).to.not.equal(incarnation)
  })

  it('can be one of an embedded store', async () => {
    const file = join(folder, 'backup')
    const old = await world.oldRows()
    await backupStopped({ path: world.path, file, clock: systemClock })
    const target = await open()
    await restore(file, target)
    for (const key of NEW) old.delete(key)
    expect(await sharedRows(target)).to.deep.equal(old)
    expect((await readBackup(file)).clusterId).to.equal(CLUSTER_ID)
  })

  it('is not restored over rows of others, nor made of a store that is being filled', async () => {
    const file = join(folder, 'backup')
    await backupStopped({ path: world.path, file, clock: systemClock })
    const used = await open()
    await world.write(used, { compares: [], puts: [put('i/theirs', '1')] })
    expect((await rejection(restore(file, used))).code).to.equal('InvalidArgument')
    expect([...(await rowsOf(used)).keys()]).to.include('i/theirs')
    await used.apply({ commits: [], always: [{ key: MOVE_KEY, value: Buffer.from('x') }] })
    const error: CairnError = await rejection(
      backupCluster({ store: used, file: join(folder, 'none'), clock: systemClock }),
    )
    expect(error.message).to.include('is being filled')
  })
})

function turn(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** A difference of so many rows is not to be printed. */
function sameRows(found: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): boolean {
  return found.size === expected.size && [...found].every(([name, value]) => expected.get(name) === value)
}
