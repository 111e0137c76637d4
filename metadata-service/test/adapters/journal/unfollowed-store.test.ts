import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { readClean } from '../../../src/adapters/journal/journal-files.js'
import { noteUnfollowed } from '../../../src/adapters/journal/unfollowed-store.js'
import { backupRunning } from '../../../src/adapters/transfer/backup.js'
import type { Commit } from '../../../src/ports.js'
import { put } from '../../conformance/subject.js'
import { CLUSTER, createJournalWorld, type JournalWorld, makeCluster } from './journal-world.js'

const set = (key: string, value: string): Commit => ({ compares: [], puts: [put(`x/${key}`, value)] })

describe('a store that goes on without journals', () => {
  let world: JournalWorld
  beforeEach(() => {
    world = createJournalWorld()
  })
  afterEach(() => world.discard())

  /** A life with journals that ends in order. */
  async function live(...commits: Commit[]): Promise<void> {
    const store = await world.open()
    await world.write(store, ...commits)
    await store.settle()
    await store.close()
  }

  async function liveUnfollowed(...commits: Commit[]): Promise<void> {
    const store = world.openBare()
    await noteUnfollowed({ store, drives: world.drives })
    await world.write(store, ...commits)
    await store.close()
  }

  const backup = (): Promise<unknown> =>
    backupRunning({ drives: world.drives, clusterId: CLUSTER, file: join(world.folder, 'backup') })

  it('leaves no copies that pass for all of it', async () => {
    await live(makeCluster, set('a', '1'))
    await liveUnfollowed(set('a', '2'))
    const refused = await backup().catch((error: Error) => error)
    expect(String(refused)).to.include('no journal follows')
    const { isComplete, isPast } = await world.recover()
    expect({ isComplete, isPast }).to.deep.equal({ isComplete: false, isPast: true })
    expect(await readClean(world.copies(0))).to.equal(undefined)
  })

  it('leaves none on a drive that was absent then, either', async () => {
    await live(makeCluster, set('a', '1'))
    const away = join(world.folder, 'away')
    renameSync(world.drives[0] ?? '', away)
    mkdirSync(world.drives[0] ?? '')
    await liveUnfollowed(set('a', '2'))
    rmSync(world.drives[0] ?? '', { recursive: true })
    renameSync(away, world.drives[0] ?? '')
    expect(await readClean(world.copies(0))).to.not.equal(undefined)
    const { isComplete, isPast } = await world.recover()
    expect({ isComplete, isPast }).to.deep.equal({ isComplete: false, isPast: true })
  })

  it('is whole on its drives again once journals have followed it', async () => {
    await live(makeCluster, set('a', '1'))
    await liveUnfollowed(set('a', '2'))
    await live(set('a', '3'))
    await backup()
    const { isComplete, isPast } = await world.recover()
    expect({ isComplete, isPast }).to.deep.equal({ isComplete: true, isPast: false })
  })

  it('notes nothing before there is a cluster', async () => {
    await liveUnfollowed(makeCluster)
    const refused = await backup().catch((error: Error) => error)
    expect(String(refused))
      .to.include('no drive here holds a whole checkpoint')
      .and.to.include('stop it first')
  })
})
