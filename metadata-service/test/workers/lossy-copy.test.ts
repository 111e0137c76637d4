import type { VersioningState } from '@cairn/protocol'
import { expect } from 'chai'
import { createWriterGuard } from '../../src/core/attempts/writer-guard.js'
import { createNamespace, type Namespace } from '../../src/core/namespace/namespace.js'
import { isGarbageHeld, RESTORED_KEY } from '../../src/core/upkeep/restore-hold.js'
import { completeUpload } from '../../src/core/uploads/complete-upload.js'
import { abortUpload } from '../../src/core/uploads/uploads.js'
import { putPart } from '../../src/core/uploads/uploads-parts.js'
import type { KeyValueStore, Read, ReadResult } from '../../src/ports.js'
import { GarbageWorker } from '../../src/workers/garbage-worker.js'
import { abortLostUploads } from '../../src/workers/lost-uploads.js'
import { OrphanWorker } from '../../src/workers/orphan-worker.js'
import { UploadWorld } from '../core/uploads/upload-world.js'

/** Of garbage and uploads. */
const isKept = (key: Uint8Array): boolean => key[0] === 0x67 || key[0] === 0x75

/** A store whose copy, which answers `read`, has lost every row but these. */
function withLossyCopy(store: KeyValueStore, keeps: (key: Uint8Array) => boolean): KeyValueStore {
  return {
    commit: (commit) => store.commit(commit),
    async read(reads: readonly Read[]): Promise<ReadResult> {
      const { revision, results } = await store.read(reads)
      return { revision, results: results.map((rows) => rows.filter(({ key }) => keeps(key))) }
    },
    readAuthority: (reads) => store.readAuthority(reads),
    watch: (range, from, signal) => store.watch(range, from, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
  }
}

async function open() {
  const world = await UploadWorld.open(43)
  const space = await world.run(world.bucket())
  /** A service whose copy has lost all rows below one prefix. */
  const losing = (prefix: string): Namespace => {
    const { clock, random, sessions, cluster } = world
    const lossy = withLossyCopy(world.store, (key) => !Buffer.from(key).toString('latin1').startsWith(prefix))
    const guard = createWriterGuard(sessions, cluster)
    return createNamespace({ store: lossy, clock, random, guard, sessions })
  }
  return { world, space, losing, store: withLossyCopy(world.store, isKept) }
}

describe('A copy of the store that has lost rows', () => {
  it('does not make the orphan worker delete blocks that rows name, nor those of a live writer', async () => {
    const { world, space, store } = await open()
    const writer = await world.run(world.sessions.open({ role: 'gateway', name: 'other' }))
    await world.run(world.put(space, 'kept', { session: writer }))
    await world.run(world.put(space, 'alive'))
    world.blockMap({ space, bucket: 'b', key: 'k', map: world.op() })
    await world.run(world.sessions.close(writer))
    const worker = new OrphanWorker({ store, clock: world.clock, inspector: world.drives, graceSeconds: 0 })
    expect(await world.run(worker.runOnce())).to.include({ orphansDeleted: 0 })
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('does not make the garbage worker free blocks that a copied object shares', async () => {
    const { world, space, store } = await open()
    await world.run(world.put(space, 's'))
    const { etag } = (await world.run(world.namespace.getObject({ bucket: 'b', key: 's' }))).object
    const context = { session: world.session, op: world.op(), poolEpoch: 1, dirtyGroups: [] }
    const source = { bucket: 'b', key: 's', etag }
    await world.run(world.namespace.copyObject({ context, source, bucket: 'b', key: 'copy', owner: 'o' }))
    await world.run(world.delete('s'))
    const worker = new GarbageWorker({
      store,
      clock: world.clock,
      reclaimer: world.drives,
      graceSeconds: () => 0,
    })
    expect(await world.run(worker.runOnce())).to.include({ freedBytes: 0 })
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('does not make a clean-up believe that the parts of an upload are gone', async () => {
    const { world, space, store } = await open()
    const upload = await world.run(world.create('k'))
    await world.run(putPart(world.world, world.partRequest(upload, space, 1, world.session)))
    await world.run(abortUpload(world.world, { ...upload, bucket: 'b', op: world.op() }))
    const worker = new GarbageWorker({
      store,
      clock: world.clock,
      reclaimer: world.drives,
      graceSeconds: () => 0,
    })
    expect(await world.run(worker.runOnce())).to.include({ freedBytes: 10 })
  })

  it('does not abort uploads of a bucket that is there', async () => {
    const { world, store } = await open()
    await world.run(world.create('k'))
    expect(await world.run(abortLostUploads(store, world.clock))).to.equal(0)
  })

  it('does not end the hold on garbage after a restore', async () => {
    const { world, store } = await open()
    const puts = [{ key: RESTORED_KEY, value: Buffer.from('x') }]
    await world.run(world.store.commit({ compares: [], puts, proof: { keys: [], carries: () => false } }))
    expect(await world.run(isGarbageHeld(store))).to.equal(true)
  })

  it('does not make an upload forget whose blocks it shares', async () => {
    const { world, space, losing } = await open()
    await world.run(world.put(space, 's'))
    const upload = await world.run(world.create('k'))
    const source = (await world.run(world.namespace.getObject({ bucket: 'b', key: 's' }))).object
    await world.run(world.copiedPart(upload, source, 1))
    await world.run(completeUpload(losing('p/').world, await world.run(world.prepareComplete(upload))))
    await world.run(world.delete('k'))
    await world.run(world.garbage.runOnce())
    expect(await world.run(world.lostBlocks())).to.deep.equal([])
  })

  it('does not make a delete hide the version before', async () => {
    const { world, losing } = await open()
    const space = await world.run(world.bucket('versioned', 'enabled'))
    const etag = await world.run(world.put(space, 'k', { bucket: 'versioned' }))
    await world.run(world.put(space, 'k', { bucket: 'versioned' }))
    const find = { bucket: 'versioned', key: 'k' }
    const { versionId } = (await world.run(world.namespace.getObject(find))).object
    const items = [{ op: world.op(), key: 'k', versionId }]
    await world.run(losing('v/').deleteObjects({ bucket: 'versioned', owner: 'o', items }))
    expect((await world.run(world.namespace.getObject(find))).object.etag).to.equal(etag)
  })

  it('does not make a write leave the null version that it replaces', async () => {
    const { world, space, losing } = await open()
    const versioning = (state: VersioningState) =>
      world.run(world.namespace.setBucketVersioning({ op: world.op(), bucket: 'b', versioning: state }))
    await world.run(world.put(space, 'k'))
    await versioning('enabled')
    await world.run(world.put(space, 'k'))
    await versioning('suspended')
    const items = [{ op: world.op(), key: 'k' }]
    await world.run(losing('v/').deleteObjects({ bucket: 'b', owner: 'o', items }))
    expect(await world.run(world.rows('v/'))).to.have.length(1)
  })
})
