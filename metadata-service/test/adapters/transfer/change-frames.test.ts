import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { expect } from 'chai'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { backupCluster, type ClusterBackupResult } from '../../../src/adapters/transfer/cluster-backup.js'
import type { MovableStore } from '../../../src/adapters/transfer/move-target.js'
import { CLUSTER_KEY, ClusterRow } from '../../../src/core/rows/cluster-state-rows.js'
import { createMirrorSource, type SimulatedMirrorSource } from '../../../src/simulation/mirror-source.js'
import { createWorld, put, seed, type World } from '../../conformance/subject.js'
import { rejection } from '../../rejection.js'
import { delegate, type Trouble } from '../mirror/mirror-world.js'
import { Ledger, rowsOfBackup } from './backup-world.js'

const ROWS = 5_000
/** So that the store has too many entries to be a small one (`SMALL_ENTRIES`). */
const ROWS_PER_ENTRY = 25
const SEEDS = 6
const WRITE_MS = 5

describe('a backup beside writers', function () {
  this.timeout(120_000)
  let folder: string
  let world: World
  let source: SimulatedMirrorSource
  let ledger: Ledger

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-backup-'))
  })
  afterEach(async () => {
    await source.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function open(ownSeed: number, trouble: Trouble = {}): Promise<void> {
    world = createWorld(ownSeed)
    source = createMirrorSource({
      store: createMemoryEntryStore({ clock: world.clock }),
      ...world,
      ...trouble,
    })
    ledger = new Ledger(source, world.random)
    await world.clock.runUntil(ledger.fill(ROWS, ROWS_PER_ENTRY))
  }

  /** With a change now and then until it is over, after each of which `onChange` is told how many rows were read. */
  async function backUp(
    store: MovableStore = source,
    onChange: (rows: number) => void | Promise<void> = () => undefined,
  ): Promise<ClusterBackupResult> {
    let isOver = false
    let rows = 0
    const onProgress = (now: number): void => {
      rows = now
    }
    const file = join(folder, 'backup')
    const done = backupCluster({ store, file, clock: world.clock, onProgress }).finally(() => {
      isOver = true
    })
    const writing = (async () => {
      while (!isOver) {
        await ledger.change(ROWS)
        await onChange(rows)
        await new Promise<void>((resolve) => world.clock.setTimer(WRITE_MS, resolve))
      }
    })()
    // The file is a real one: while the disk takes its time, simulated time goes on without a limit.
    const [result] = await world.clock.runUntil(Promise.all([done, writing]), Number.POSITIVE_INFINITY)
    return result
  }

  async function expectOneMoment({ number }: ClusterBackupResult): Promise<void> {
    expect(await rowsOfBackup(join(folder, 'backup'), folder)).to.deep.equal(ledger.at(number))
    rmSync(join(folder, 'backup'))
    expect(readdirSync(folder)).to.deep.equal([])
  }

  it(`is of one moment, whatever happens to the changes (seed ${seed})`, async () => {
    let faults = 0
    let changes = 0
    for (let own = seed; own < seed + SEEDS; own++) {
      await source?.close()
      await open(own, { faultRate: 0.05, lossRate: 0.02, delayMsMax: 12 })
      const result = await backUp()
      await expectOneMoment(result)
      faults += source.faults
      changes += result.changes
    }
    expect([changes > 50 * SEEDS, faults > SEEDS]).to.deep.equal([true, true])
  })

  it('needs no history', async () => {
    await open(seed, { delayMsMax: 12 })
    await expectOneMoment(await backUp(source, (rows) => (rows > 0 ? source.compact() : undefined)))
  })

  it('begins anew when a change was dropped that had not come', async () => {
    await open(seed, { delayMsMax: 12 })
    let isBroken = false
    let begun = 0
    const store: MovableStore = {
      ...delegate(source),
      async *follow(from, signal) {
        if (begun++ === 0) {
          await new Promise<void>((resolve) => world.clock.setTimer(10 * WRITE_MS, resolve))
          isBroken = true
          throw new CairnError('Busy', 'the line broke')
        }
        yield* source.follow(from, signal)
      },
    }
    const onChange = (): void => {
      if (!isBroken) return
      isBroken = false
      source.compact()
    }
    await expectOneMoment(await backUp(store, onChange))
    expect(begun).to.be.greaterThan(1)
  })

  it('is none of a store that has become another one meanwhile', async () => {
    await open(seed, { delayMsMax: 12 })
    const writeOther = async (): Promise<void> => {
      const { results } = await source.read([{ kind: 'get', key: CLUSTER_KEY }])
      const row = ClusterRow.decode(results[0]?.[0]?.value ?? Buffer.alloc(0))
      const value = ClusterRow.encode({ ...row, incarnation: 'second' })
      await source.apply({ commits: [], always: [{ key: CLUSTER_KEY, value }, put('head', 'other')] })
    }
    const error = await rejection(backUp(source, (rows) => (rows > 0 ? writeOther() : undefined)))
    expect(error.message).to.include('another incarnation')
    expect(readdirSync(folder)).to.deep.equal([])
  })
})
