import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import type { JournaledEntryStore } from '../../../src/adapters/journal/journal-entry-store.js'
import {
  backupRunning,
  backupStopped,
  readBackup,
  restoreBackup,
} from '../../../src/adapters/transfer/backup.js'
import type { Commit, EntryStore } from '../../../src/ports.js'
import { absent, atRevision, bytes, put, range } from '../../conformance/subject.js'
import {
  CLUSTER,
  createJournalWorld,
  type JournalWorld,
  makeCluster,
  makeDrive,
  rowsOf,
} from './journal-world.js'

const set = (key: string, value: string): Commit => ({ compares: [], puts: [put(`x/${key}`, value)] })

async function codeOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => 'none',
    (error: { code: string }) => error.code,
  )
}

describe('JournaledEntryStore', () => {
  let world: JournalWorld
  const opened: EntryStore[] = []

  beforeEach(() => {
    world = createJournalWorld()
  })

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close()
    world.discard()
  })

  async function open(): Promise<JournaledEntryStore> {
    const store = await world.open()
    opened.push(store)
    return store
  }

  /** Ends a store as a crash after its last flush would: nothing is noted, and the database is thrown away. */
  async function loseStore(store: JournaledEntryStore): Promise<void> {
    await store.settle()
    await store.close()
    opened.splice(opened.indexOf(store), 1)
    rmSync(join(world.folder, 'metadata'), { recursive: true })
  }

  async function recovered(): Promise<string[]> {
    const store = world.openBare()
    const rows = await rowsOf(store)
    await store.close()
    return rows
  }

  it('brings back puts, deletes and ranges in their order, and nothing of refused commits', async () => {
    const store = await open()
    await world.write(store, makeCluster)
    await store.settle()
    await world.write(store, set('a', '1'), set('b', '1'), set('c/1', '1'), set('c/2', '1'))
    await world.write(store, { compares: [], deletes: [bytes('x/a')] })
    await world.write(store, { compares: [], deleteRanges: [range('x/c/', 'x/c0')] }, set('d', '1'))
    await world.write(store, set('c/3', '1'), { compares: [absent('head')], puts: [put('x/no', '1')] })
    await loseStore(store)
    const report = await world.recover()
    expect(await recovered()).to.deep.equal(['x/b=1', 'x/c/3=1', 'x/d=1'])
    expect(report.frames).to.equal(4)
    expect(report.isComplete).to.equal(true)
  })

  it('copies rows that change while a checkpoint reads them', async () => {
    const store = await open()
    for (let at = 0; at < 3000; at++) await world.write(store, set(`${at % 1000}`, 'old'.repeat(at % 50)))
    await world.write(store, makeCluster)
    const settled = store.settle()
    for (let at = 0; at < 2000; at++) {
      const key = `${Math.floor(world.random.fraction() * 1100)}`
      const commit = at % 3 === 0 ? { compares: [], deletes: [bytes(`x/${key}`)] } : set(key, `new ${at}`)
      await world.write(store, commit)
      if (at % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await settled
    const rows = await rowsOf(store)
    await loseStore(store)
    await world.recover()
    expect(await recovered()).to.deep.equal(rows)
  })

  it('keeps no row of a lease, and ends what such a row replaced', async () => {
    const store = await open()
    const lease = await store.grantLease(60_000)
    await world.write(store, makeCluster, set('a', '1'), set('b', '1'))
    await store.settle()
    await world.write(store, { compares: [], puts: [put('x/a', '2', lease), put('s/1', '1', lease)] })
    await loseStore(store)
    await world.recover()
    expect(await recovered()).to.deep.equal(['x/b=1'])
  })

  it('follows on after a clean close without a new checkpoint', async () => {
    const first = await open()
    await world.write(first, makeCluster, set('a', '1'))
    await first.settle()
    await first.close()
    const second = await open()
    await world.write(second, set('b', '1'))
    await second.settle()
    expect(second.status().checkpoints).to.equal(0)
    await loseStore(second)
    await world.recover()
    expect(await recovered()).to.deep.equal(['x/a=1', 'x/b=1'])
  })

  it('begins anew with a checkpoint when the store has entries that the journals lack', async () => {
    const first = await open()
    await world.write(first, makeCluster)
    await first.settle()
    await first.close()
    const bare = world.openBare()
    await world.write(bare, set('missed', '1'))
    await bare.close()
    const second = await open()
    await world.write(second, set('b', '1'))
    await second.settle()
    expect(second.status().checkpoints).to.be.at.least(1)
    await loseStore(second)
    await world.recover()
    expect(await recovered()).to.deep.equal(['x/b=1', 'x/missed=1'])
  })

  it('refuses a store that has lost entries which its journals have', async () => {
    const first = await open()
    await world.write(first, makeCluster)
    await first.settle()
    const path = join(world.folder, 'metadata', 'store.sqlite')
    const copy = ['', '-wal'].map((suffix) => [path + suffix, readFileSync(path + suffix)] as const)
    await world.write(first, set('a', '1'))
    await first.settle()
    await first.close()
    for (const [name, content] of copy) writeFileSync(name, content)
    expect(await codeOf(world.open())).to.equal('DriveFailed')
  })

  it('refuses it also by drives that came after the store was opened', async () => {
    const first = await open()
    await world.write(first, makeCluster, set('a', '1'))
    await first.settle()
    await first.close()
    const database = join(world.folder, 'metadata', 'store.sqlite')
    const former = readFileSync(database)
    for (const drive of world.drives) renameSync(drive, `${drive}-away`)
    const second = await open()
    for (const drive of world.drives) renameSync(`${drive}-away`, drive)
    await second.settle()
    await world.write(second, set('b', '1'))
    await second.settle()
    // As after a kill: nothing is noted at the end.
    const ends = world.drives.map((drive) => join(drive, 'metadata', 'clean.json'))
    const notes = ends.map((path) => existsSync(path))
    await second.close()
    for (const [at, path] of ends.entries()) if (notes[at] === false) rmSync(path)
    expect(notes).to.deep.equal([false, false, false])
    writeFileSync(database, former)
    expect(await codeOf(open())).to.equal('DriveFailed')
  })

  it('takes each frame from any drive that has it whole', async () => {
    const store = await open()
    await world.write(store, makeCluster)
    await store.settle()
    for (let at = 0; at < 300; at++) await world.write(store, set(`${at}`, 'v'.repeat(at)))
    const rows = await rowsOf(store)
    await loseStore(store)
    damageThirds(world)
    const report = await world.recover()
    expect(await recovered()).to.deep.equal(rows)
    expect(report.strangeBytes).to.be.above(0)
  })

  it('stops before a gap and says how many frames it could not use', async () => {
    const store = await open()
    await world.write(store, makeCluster)
    await store.settle()
    for (let at = 0; at < 10; at++) await world.write(store, set(`${at}`, '1'))
    await loseStore(store)
    for (const drive of [0, 1, 2]) flipByte(journalOf(world, drive), 16 + 48 + 5 * 100)
    const report = await world.recover()
    expect(report.strandedFrames).to.be.within(1, 9)
    expect((await recovered()).length).to.equal(10 - report.strandedFrames - 1)
    expect(report.isComplete).to.equal(false)
  })

  it('uses the checkpoint before when the newest is damaged everywhere', async () => {
    const first = await open()
    await world.write(first, makeCluster, set('a', '1'))
    await first.settle()
    await first.close()
    const bare = world.openBare()
    await world.write(bare, set('b', '1'))
    await bare.close()
    const second = await open()
    await second.settle()
    await loseStore(second)
    for (const drive of [0, 1, 2]) {
      const names = readdirSync(world.copies(drive)).filter((name) => name.startsWith('checkpoint-'))
      expect(names).to.have.length(2)
      flipByte(join(world.copies(drive), names.sort().at(-1) ?? ''), 60)
    }
    const report = await world.recover()
    expect(report.damagedFiles).to.have.length(3)
    expect(await recovered()).to.deep.equal(['x/a=1'])
  })

  it('gives a drive that comes new a checkpoint, and one that was emptied another', async () => {
    rmSync(world.drives[2] ?? '', { recursive: true })
    const store = await open()
    await world.write(store, makeCluster, set('a', '1'))
    await store.settle()
    expect(store.status().drives.map(({ state }) => state)).to.deep.equal(['follows', 'follows', 'absent'])
    makeDrive(world.drives[2] ?? '', 2)
    await store.settle()
    rmSync(world.copies(0), { recursive: true })
    await store.settle()
    expect(store.status().drives.map(({ state }) => state)).to.deep.equal(['follows', 'follows', 'follows'])
    for (const drive of [0, 1, 2]) {
      expect(readdirSync(world.copies(drive)).some((name) => name.startsWith('checkpoint-'))).to.equal(true)
    }
  })

  it('makes nothing in a folder that holds no drive of this cluster', async () => {
    writeFileSync(
      join(world.drives[0] ?? '', 'drive.json'),
      JSON.stringify({ format: 1, clusterId: 'other', driveId: '0', createdAt: '' }),
    )
    rmSync(join(world.drives[1] ?? '', 'drive.json'))
    const store = await open()
    await world.write(store, makeCluster)
    await store.settle()
    expect(readdirSync(world.drives[0] ?? '')).to.deep.equal(['drive.json'])
    expect(readdirSync(world.drives[1] ?? '')).to.deep.equal([])
  })

  it('has every entry on more than half of the drives before a synchronous answer', async () => {
    const store = await world.open({ mode: 'sync' })
    opened.push(store)
    await world.write(store, makeCluster)
    await store.settle()
    await world.write(store, set('a', '1'))
    const sizes = [0, 1, 2].map((drive) => statSync(journalOf(world, drive)).size)
    expect(sizes.filter((size) => size > 16 + 48)).to.have.length.at.least(2)
  })

  it('begins a new life: garbage held, higher revisions, another incarnation', async () => {
    const store = await open()
    await world.write(store, makeCluster, set('a', '1'))
    await loseStore(store)
    const { incarnation } = await world.recover()
    const after = world.openBare()
    const { results, revision } = await after.read([
      { kind: 'get', key: bytes('m/restored') },
      { kind: 'get', key: bytes('x/a') },
    ])
    await after.close()
    expect(incarnation).not.to.equal('i1')
    expect(results[0]).to.have.length(1)
    expect(revision).to.be.above(1_000_000)
    expect(results[1]?.[0]?.revision).to.equal(revision)
  })

  it('moves the former store aside and never removes it', async () => {
    const store = await open()
    await world.write(store, makeCluster, set('a', '1'))
    await store.settle()
    await store.close()
    truncateSync(join(world.folder, 'metadata', 'store.sqlite'), 5000)
    const { movedTo } = await world.recover()
    expect(statSync(join(movedTo ?? '', 'store.sqlite')).size).to.equal(5000)
    expect(await recovered()).to.deep.equal(['x/a=1'])
  })

  it('refuses rows of a newer version, and does not recover them either', async () => {
    const [cluster] = makeCluster.puts ?? []
    const newer = Buffer.from(cluster?.value ?? [])
    newer[0] = 99
    const store = await open()
    await world.write(store, makeCluster, set('a', '1'))
    await store.settle()
    await world.write(store, { compares: [], puts: [{ key: bytes('m/cluster'), value: newer }] })
    await store.settle()
    await store.close()
    opened.splice(0)
    expect(await codeOf(world.open())).to.equal('FormatTooNew')
    expect(await codeOf(world.recover())).to.equal('FormatTooNew')
    const left = readdirSync(world.options.folder).filter((name) => name.includes('.new'))
    expect(left, 'of the attempt').to.deep.equal([])
  })

  it('brings back a store with a row that nobody can decode', async () => {
    const store = await open()
    await world.write(store, makeCluster, { compares: [], puts: [put('o/strange', '\u0001')] }, set('a', '1'))
    await loseStore(store)
    expect((await world.recover()).strangeRows).to.equal(1)
    expect(await recovered()).to.deep.equal(['x/a=1'])
  })

  it('takes a backup of a stopped store and of a running one, and goes back to it', async () => {
    const store = await open()
    await world.write(store, makeCluster, set('a', '1'), set('b', '1'))
    await store.settle()
    await world.write(store, set('a', '2'))
    await store.settle()
    const [running, stopped] = [join(world.folder, 'running'), join(world.folder, 'stopped')]
    await backupRunning({ drives: world.drives, clusterId: CLUSTER, file: running })
    await store.close()
    opened.splice(0)
    const path = join(world.folder, 'metadata', 'store.sqlite')
    await backupStopped({ path, file: stopped, clock: systemClock })
    for (const file of [running, stopped]) {
      const later = world.openBare()
      await world.write(later, set('c', '3'), { compares: [], deletes: [bytes('x/a')] })
      await later.close()
      await restoreBackup({ ...world.options, backup: await readBackup(file) })
      expect(await recovered()).to.deep.equal(['x/a=2', 'x/b=1'])
    }
  })

  it('refuses a backup with a flipped bit, wherever it is', async () => {
    const store = await open()
    await world.write(store, makeCluster, set('a', '1'))
    await store.settle()
    const file = join(world.folder, 'backup')
    await backupRunning({ drives: world.drives, clusterId: CLUSTER, file })
    const size = statSync(file).size
    for (let at = 0; at < size; at += 7) {
      flipByte(file, at)
      expect(await codeOf(readBackup(file)), `byte ${at}`).to.equal('DriveFailed')
      flipByte(file, at)
    }
    truncateSync(file, size - 1)
    expect(await codeOf(readBackup(file))).to.equal('DriveFailed')
  })

  it('answers refused commits as the store does', async () => {
    const store = await open()
    await world.write(store, makeCluster)
    const [result] = await store.apply({ commits: [{ compares: [atRevision('head', 77)] }], always: [] })
    expect(result?.committed).to.equal(false)
  })
})

function journalOf(world: JournalWorld, drive: number): string {
  const names = readdirSync(world.copies(drive)).filter((name) => name.startsWith('journal-'))
  return join(world.copies(drive), names.sort().at(-1) ?? '')
}

/** Each drive keeps two thirds of its frames, and every frame stands whole on some drive. */
function damageThirds(world: JournalWorld): void {
  for (const drive of [0, 1, 2]) {
    const path = journalOf(world, drive)
    const content = readFileSync(path)
    for (let at = 16; at < content.length; ) {
      const frameBytes = 48 + content.readUInt32LE(at + 12)
      const number = Number(content.readBigUInt64LE(at + 16))
      if (number % 3 === drive) content[at + 60] = (content[at + 60] ?? 0) ^ 1
      at += frameBytes
    }
    writeFileSync(path, content)
  }
}

function flipByte(path: string, at: number): void {
  const content = readFileSync(path)
  content[at] = (content[at] ?? 0) ^ 0x40
  writeFileSync(path, content)
}
