import { createRouter, type DriveReport } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type ChunkServer, type ChunkServerEvent, createChunkServer } from '../../src/app.js'
import type { Disk } from '../../src/ports.js'
import { createSimulatedDisk, simulatedSegmentDrive } from '../../src/simulation/index.js'
import { type RecordedMetadata, recordMetadata } from './metadata-stub.js'
import { createTestNetwork, identity } from './network.js'

const HANGING = 1

describe('a disk that does not answer', () => {
  const random = createSeededRandom(17)
  let clock: SimulatedClock
  let metadata: RecordedMetadata
  let events: ChunkServerEvent[]
  let server: ChunkServer
  /** What every call of the second disk waits for. */
  let gate: Promise<void>
  let release: () => void

  function hang(): void {
    gate = new Promise((resolve) => {
      release = resolve
    })
  }

  /** Calls of the disk itself wait; those of its open files do not. */
  function behindGate(disk: Disk): Disk {
    return new Proxy(disk, {
      get: (target, name: keyof Disk) => {
        return async (...given: unknown[]) => {
          await gate
          return (target[name] as (...args: unknown[]) => unknown)(...given)
        }
      },
    })
  }

  beforeEach(async () => {
    clock = createSimulatedClock(random)
    gate = Promise.resolve()
    release = () => undefined
    events = []
    const network = createTestNetwork(clock, random)
    const router = createRouter()
    metadata = recordMetadata(router)
    await network.listen('local:metadata', router, { ...identity, role: 'metadata' })
    const disks = [0, 1].map(() => createSimulatedDisk({ clock, random }))
    const drives = disks.map((disk, at) =>
      simulatedSegmentDrive({
        name: `drive ${at}`,
        disk: at === HANGING ? behindGate(disk) : disk,
        clock,
        random,
      }),
    )
    const opening = createChunkServer({
      id: 'c1',
      drives,
      address: 'local:chunk',
      metadata: 'local:metadata',
      network,
      identity,
      clock,
      random,
      durability: 'fsync',
      onEvent: (event) => events.push(event),
    })
    server = await clock.runUntil(opening)
    await clock.runUntil(server.start())
    await clock.runUntil(server.registered())
  })
  afterEach(async () => {
    release()
    await clock.runUntil(server.close())
  })

  const last = (): readonly DriveReport[] => metadata.heartbeats.at(-1)?.reports ?? []

  it('keeps no other drive of its server from being heard, and is heard again once it answers', async () => {
    await clock.advance(10_000)
    expect(last().map(({ healthy }) => healthy)).to.deep.equal([true, true])
    const spaces = () => server.drives().map(({ space }) => space !== undefined && space.capacityBytes > 0)
    expect(spaces()).to.deep.equal([true, true])
    hang()
    await clock.advance(10_000)
    const beats = metadata.heartbeats.length
    await clock.advance(60_000)
    expect(metadata.heartbeats.length - beats).to.be.at.least(19)
    expect(last().map(({ healthy }) => healthy)).to.deep.equal([true, false])
    expect(last()[HANGING]).to.include({ capacityBytes: 0, reason: 'its disk does not answer' })
    expect(spaces()).to.deep.equal([true, false])
    release()
    await clock.advance(10_000)
    expect(last().map(({ healthy }) => healthy)).to.deep.equal([true, true])
    expect(last()[HANGING]?.reason).to.equal(undefined)
    expect(metadata.registrations).to.have.length(1)
  })

  it('leaves its server to register with its other drives', async () => {
    hang()
    metadata.forget()
    await clock.advance(20_000)
    expect(metadata.registrations.at(-1)?.drives.map(({ path }) => path)).to.deep.equal(['drive 0'])
    expect(server.status().registered).to.equal(true)
  })

  it('does not keep its server from closing', async () => {
    hang()
    await clock.advance(10_000)
    const startMs = clock.monotonicMs()
    await clock.runUntil(server.close())
    expect(clock.monotonicMs() - startMs).to.be.at.most(10_000)
    const troubles = events.flatMap((event) => (event.kind === 'upkeep failed' ? [event.drive] : []))
    expect(troubles).to.deep.equal(['drive 1'])
  })
})
