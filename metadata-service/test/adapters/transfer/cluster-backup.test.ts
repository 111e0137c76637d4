import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CairnError, systemClock, systemRandom } from '@cairn/protocol'
import { expect } from 'chai'
import { backupStopped, readBackup } from '../../../src/adapters/transfer/backup.js'
import {
  backupCluster,
  type ClusterRestoreReport,
  restoreCluster,
} from '../../../src/adapters/transfer/cluster-backup.js'
import { migrateStore } from '../../../src/adapters/transfer/migrate.js'
import type { MovableStore } from '../../../src/adapters/transfer/move-target.js'
import { MOVE_KEY } from '../../../src/core/rows/store-move.js'
import { put } from '../../conformance/subject.js'
import { rejection } from '../../rejection.js'
import { openEtcdSubject, useEtcd } from '../../support/etcd-subject.js'
import { CLUSTER_ID, MoveWorld, rowsOf } from './move-world.js'

const ROWS = 3_000
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

  it('is of one moment, whatever is written meanwhile, and brings all of that back', async () => {
    const source = await open()
    world.target = source
    const { incarnation } = await migrateStore({ ...world.options(), resume: false })
    const before = await sharedRows(source)
    const file = join(folder, 'backup')
    let writes = 0
    const onProgress = async (): Promise<void> => {
      writes++
      await world.write(source, {
        compares: [],
        puts: [put(`i/late ${writes}`, 'late')],
        deletes: [Buffer.from('i/00001')],
      })
    }
    const late: Promise<void>[] = []
    const done = await backupCluster({
      store: source,
      file,
      clock: systemClock,
      onProgress: () => void late.push(onProgress()),
    })
    await Promise.all(late)
    const target = await open()
    const restored = await restore(file, target)
    expect([writes > 1, restored.rows]).to.deep.equal([true, done.rows])
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
