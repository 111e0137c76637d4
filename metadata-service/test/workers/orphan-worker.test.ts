import { SESSION_LEASE_MS } from '@cairn/protocol'
import { expect } from 'chai'
import { putPart } from '../../src/core/uploads/uploads-parts.js'
import { proofRow } from '../../src/core/versions/version-write-extras.js'
import { OrphanWorker } from '../../src/workers/orphan-worker.js'
import { UploadWorld } from '../core/uploads/upload-world.js'
import { rejection } from '../rejection.js'

async function open() {
  const world = await UploadWorld.open(41)
  const space = await world.run(world.bucket())
  const writer = await world.run(world.sessions.open({ role: 'gateway', name: 'other' }))
  return { world, space, writer }
}

const scan = (world: UploadWorld) => world.run(world.orphans.runOnce())

describe('OrphanWorker', () => {
  it('leaves the blocks of a live session alone, and deletes them once it has ended', async () => {
    const { world, space, writer } = await open()
    for (let count = 0; count < 7; count++) {
      world.blockMap({ space, bucket: 'b', key: 'k', map: world.op(writer) }, writer)
    }
    expect(await scan(world)).to.include({ orphansDeleted: 0 })
    await world.run(world.sessions.close(writer))
    expect(await scan(world)).to.include({ orphansDeleted: 7, freedBytes: 70 })
    expect(world.drives.blocksById.size).to.equal(0)
  })

  it('waits for the grace after it has first seen the session gone', async () => {
    const { world, space, writer } = await open()
    const { store, clock, drives } = world
    const patient = new OrphanWorker({ store, clock, inspector: drives, graceSeconds: 60 })
    world.blockMap({ space, bucket: 'b', key: 'k', map: world.op(writer) }, writer)
    await world.run(world.sessions.close(writer))
    await clock.advance(100_000)
    expect(await world.run(patient.runOnce())).to.include({ orphansDeleted: 0, sessionsWaiting: 1 })
    await clock.advance(61_000)
    expect(await world.run(patient.runOnce())).to.include({ orphansDeleted: 1, sessionsWaiting: 0 })
  })

  it('keeps what rows, copies, open uploads and pending garbage name', async () => {
    const { world, space, writer } = await open()
    await world.run(world.put(space, 'kept', { session: writer }))
    await world.run(world.put(space, 'dropped', { session: writer }))
    await world.run(world.delete('dropped'))
    const upload = await world.run(world.create('k'))
    await world.run(putPart(world.world, world.partRequest(upload, space, 1, writer)))
    await world.run(world.sessions.close(writer))
    expect(await scan(world)).to.include({ orphansDeleted: 0, sessionsWaiting: 1 })
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
    await world.run(world.garbage.runOnce())
    expect(world.drives.blocksById.size).to.equal(2)
  })

  it('finds orphans however much garbage there is, and what its grace protects among it', async () => {
    const { world, space, writer } = await open()
    await world.run(world.put(space, 'dropped', { session: writer }))
    await world.run(world.delete('dropped'))
    world.blockMap({ space, bucket: 'b', key: 'k', map: world.op(writer) }, writer)
    for (let at = 0; at < 10_100; at += 100) {
      const puts = Array.from({ length: 100 }, (_, n) =>
        proofRow({ op: world.op(), nowMicros: at + n }, space),
      )
      await world.run(world.store.commit({ compares: [], puts, proof: { keys: [], carries: () => false } }))
    }
    await world.run(world.sessions.close(writer))
    expect(await scan(world)).to.include({ orphansDeleted: 1, sessionsWaiting: 1 })
    expect(world.drives.blocksById.size).to.equal(1)
  })

  it('never lets a commit succeed whose blocks it has deleted', async () => {
    const { world, space, writer } = await open()
    const upload = await world.run(world.create('k'))
    const request = world.partRequest(upload, space, 1, writer)
    const op = world.op(writer)
    const map = world.blockMap({ space, bucket: 'b', key: 'o', map: op }, writer)
    await world.run(world.sessions.compare(writer))
    await world.run(world.sessions.close(writer))
    await scan(world)
    const put = world.namespace.putObject({
      context: { session: writer, op, poolEpoch: 1, dirtyGroups: [] },
      bucket: 'b',
      space,
      key: 'o',
      map,
      sizeBytes: 10,
      etag: 'e',
      owner: 'o',
      attributes: {},
    })
    expect((await rejection(world.run(put))).code).to.equal('SessionExpired')
    expect((await rejection(world.run(putPart(world.world, request)))).code).to.equal('SessionExpired')
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('keeps everything when the store or a drive does not answer', async () => {
    const { world, space, writer } = await open()
    world.blockMap({ space, bucket: 'b', key: 'k', map: world.op(writer) }, writer)
    await world.run(world.sessions.close(writer))
    world.line.failReads(1)
    expect(await scan(world)).to.include({ orphansDeleted: 0, drivesFailed: 1 })
    world.drives.isUp = false
    expect(await scan(world)).to.include({ orphansDeleted: 0, drivesFailed: 1 })
    world.drives.isUp = true
    expect(await scan(world)).to.include({ orphansDeleted: 1, drivesFailed: 0 })
  })

  it('asks no more for blocks that others hold, until a day has passed', async () => {
    const { world, space, writer } = await open()
    await world.run(world.put(space, 'kept', { session: writer }))
    await world.clock.advance(SESSION_LEASE_MS * 2)
    let listings = 0
    const inspector = Object.create(world.drives) as typeof world.drives
    inspector.blocks = (drive, after) => {
      listings++
      return world.drives.blocks(drive, after)
    }
    const worker = new OrphanWorker({ store: world.store, clock: world.clock, inspector, graceSeconds: 0 })
    for (let run = 0; run < 3; run++) await world.run(worker.runOnce())
    expect(listings).to.equal(1)
    await world.clock.advance(86_500_000)
    await world.run(worker.runOnce())
    expect(listings).to.equal(2)
  })
})
