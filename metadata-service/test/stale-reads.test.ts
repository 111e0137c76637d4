/** ● A read sees everything that was acknowledged before it began, also through a service that was paused meanwhile. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  getBucket,
  getBucketConfiguration,
  getObject,
  listObjects,
  putObject,
  type RpcMethod,
  renewSession,
  setBucketConfiguration,
  setBucketVersioning,
  setObjectTags,
} from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type MirroredEntryStore, openMirroredEntryStore } from '../src/adapters/mirror/mirror-entry-store.js'
import type { EntryStore, ReadResult } from '../src/ports.js'
import { createMirrorSource } from '../src/simulation/index.js'
import { type PausableService, SeveralServices } from './several-services.js'

const ROUNDS = 24
const QUIET = { info: () => undefined, error: () => undefined }

type Between = (world: SeveralServices) => (store: EntryStore) => Promise<EntryStore>

/** One thing that is written with a number, and how it is read: each read gives the number it sees. */
interface Subject {
  readonly write: (world: SeveralServices, at: PausableService, number: number) => Promise<unknown>
  readonly read: (world: SeveralServices, at: PausableService) => Promise<number>
}

const ask = async <Q, R>(
  world: SeveralServices,
  at: PausableService,
  call: { method: RpcMethod<Q, R>; request: Q; number: (answer: R) => unknown },
): Promise<number> => Number(call.number(await world.call(at, call.method, call.request)))

async function put(world: SeveralServices, at: PausableService, number: number): Promise<unknown> {
  return world.call(at, putObject, {
    context: { session: world.session, op: world.op(), poolEpoch: 0, dirtyGroups: [] },
    ...{ bucket: 'b', space: await world.bucketSpace(at), key: 'k', map: { pool: 1, slices: [], pages: [] } },
    ...{ sizeBytes: 0, etag: `${number}`, owner: 'o', attributes: {} },
  })
}

const SUBJECTS: Readonly<Record<string, Subject>> = {
  'an object': {
    write: put,
    read: (world, at) =>
      ask(world, at, {
        method: getObject,
        request: { bucket: 'b', key: 'k' },
        number: ({ object }) => object.etag,
      }),
  },
  'a listing': {
    write: put,
    read: (world, at) =>
      ask(world, at, {
        method: listObjects,
        request: { bucket: 'b', prefix: '', delimiter: '', after: '', limit: 10 },
        number: ({ objects: [object] }) => object?.etag,
      }),
  },
  'a configuration of a bucket': {
    write: (world, at, number) =>
      world.call(at, setBucketConfiguration, {
        ...{ op: world.op(), bucket: 'b', kind: 'cors' as const, document: Buffer.from(`${number}`) },
      }),
    read: (world, at) =>
      ask(world, at, {
        method: getBucketConfiguration,
        request: { bucket: 'b', kind: 'cors' },
        number: ({ document }) => Buffer.from(document ?? []).toString(),
      }),
  },
  'tags of an object': {
    write: (world, at, number) =>
      world.call(at, setObjectTags, {
        ...{ op: world.op(), bucket: 'b', key: 'k', tags: [{ key: 'n', value: `${number}` }] },
      }),
    read: (world, at) =>
      ask(world, at, {
        method: getObject,
        request: { bucket: 'b', key: 'k' },
        number: ({ object }) => object.attributes.tags?.[0]?.value,
      }),
  },
  'versioning of a bucket': {
    write: (world, at, number) => {
      const versioning = number % 2 === 0 ? 'enabled' : 'suspended'
      return world.call(at, setBucketVersioning, { op: world.op(), bucket: 'b', versioning })
    },
    read: (world, at) =>
      ask(world, at, {
        method: getBucket,
        request: { bucket: 'b' },
        number: ({ versioning }) => (versioning === 'enabled' ? 0 : 1),
      }),
  },
}

/** Reads at `a`, which is paused now and then, while `b` writes; what it answered that was too old. */
async function provoke(subject: Subject, between: Between): Promise<string[]> {
  const world = new SeveralServices()
  const random = createSeededRandom(17)
  const a = await world.run(world.start('a', {}, between(world)))
  const b = await world.run(world.start('b'))
  await world.run(world.addDrive([a, b]))
  await world.run(world.open(b))
  await world.run(world.bucket(b))
  await world.run(put(world, b, 0))
  await world.run(subject.write(world, b, 0))
  await world.clock.advance(5_000)
  await world.run(world.call(b, renewSession, { session: world.session }))
  const stale: string[] = []
  const isBinary = subject === SUBJECTS['versioning of a bucket']
  for (let number = 1; number <= ROUNDS; number++) {
    const check = async (begun: number): Promise<void> => {
      const seen = await subject.read(world, a)
      const isStale = isBinary ? begun === number && seen !== number % 2 : seen < begun
      if (isStale || Number.isNaN(seen)) stale.push(`${seen} after ${begun} was acknowledged`)
    }
    // Begun before the write: either is right. The pause finds them anywhere on their way.
    const reads = [check(number - 1), check(number - 1)]
    await world.clock.advance(random.fraction() * 2)
    a.pause()
    await world.run(subject.write(world, b, number))
    reads.push(check(number), check(number))
    // Every eighth pause outlasts the lease of `a`.
    for (let part = 0; part < (number % 8 === 0 ? 3 : 1); part++) {
      await world.clock.advance(number % 8 === 0 ? 4_000 : random.fraction() * 500)
      await world.run(world.call(b, renewSession, { session: world.session }))
    }
    a.wake()
    reads.push(check(number))
    await world.run(Promise.all(reads))
  }
  await world.run(Promise.all([a, b].map(({ service }) => service.close())))
  return stale
}

/** A mirror of its own, whose changes come late. */
function mirrored(folder: string, opened: MirroredEntryStore[]): Between {
  return (world) => async (store) => {
    const { clock, random } = world
    const source = createMirrorSource({ store, clock, random, delayMsMax: 300 })
    const path = join(folder, `${opened.length}.sqlite`)
    const mirror = await openMirroredEntryStore({ store: source, path, clock, random, log: QUIET })
    opened.push(mirror)
    return mirror
  }
}

/** Answers what it has answered before, for a while: what a cache without a check would do. */
const forgetful: Between = () => async (store) => {
  const known = new Map<string, ReadResult>()
  let reads = 0
  const read: EntryStore['read'] = async (wanted) => {
    const isOfKeys = wanted.some((each) => each.kind === 'get' && each.key[0] === 'o'.charCodeAt(0))
    if (!isOfKeys) return store.read(wanted)
    const name = JSON.stringify(wanted)
    if (++reads % 8 === 0) known.clear()
    const answer = known.get(name) ?? (await store.read(wanted))
    known.set(name, answer)
    return answer
  }
  const { apply, rowsAt, watch, grantLease, renewLease, revokeLease, close } = store
  return { apply, read, rowsAt, watch, grantLease, renewLease, revokeLease, close, readAuthority: store.read }
}

describe('a metadata service that is paused while another one writes', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-stale-reads-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  for (const [name, subject] of Object.entries(SUBJECTS)) {
    it(`shows of ${name} nothing older than what was acknowledged before the read`, async () => {
      expect(await provoke(subject, () => async (store) => store)).to.deep.equal([])
    })

    it(`shows of ${name} nothing older either with a mirror`, async () => {
      const opened: MirroredEntryStore[] = []
      expect(await provoke(subject, mirrored(folder, opened))).to.deep.equal([])
      expect(opened.map((mirror) => mirror.status().readsHere > 0)).to.deep.equal([true])
    })
  }

  it('is caught by these reads if it answers from memory', async () => {
    expect(await provoke(SUBJECTS['an object'] as Subject, forgetful)).to.not.deep.equal([])
  })
})
