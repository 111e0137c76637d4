/**
 * Metadata at scale on a real etcd, as one process: `load` stores objects by the commits of the real service, `measure`
 * opens a mirror of them and reads. Prints one line of JSON. Run by `npm run show -- etcd-scale`.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  type BlockId,
  systemClock as clock,
  type OpId,
  systemRandom as random,
  type SessionId,
  type SpaceId,
  sessionScopedId,
} from '@cairn/protocol'
import { openEtcdEntryStore } from '../../src/adapters/etcd/etcd-entry-store.js'
import {
  type MirroredEntryStore,
  openMirroredEntryStore,
} from '../../src/adapters/mirror/mirror-entry-store.js'
import { createWriterGuard } from '../../src/core/attempts/writer-guard.js'
import { ClusterState } from '../../src/core/cluster/cluster-state.js'
import { createKeyValueStore } from '../../src/core/commit/batcher.js'
import { createNamespace, type Namespace } from '../../src/core/namespace/namespace.js'
import { Sessions } from '../../src/core/services/sessions.js'
import type { EntryStore, KeyValueStore } from '../../src/ports.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    endpoints: { type: 'string', default: '127.0.0.1:2379' },
    objects: { type: 'string', default: '100000' },
    folder: { type: 'string', default: '.' },
    /** Of the members of etcd, whose CPU time is counted. */
    pids: { type: 'string', default: '' },
    seconds: { type: 'string', default: '3' },
  },
})

const BUCKET = 'scale'
const OBJECTS_PER_FOLDER = 1_000
const WRITERS = 252
const READERS = 64
const TICKS_PER_SECOND = 100

/** What reading at full speed gave. */
interface Figures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly serviceMicros: number
  readonly etcdMicros: number
}

class Service {
  readonly store: KeyValueStore
  readonly namespace: Namespace
  private readonly session: SessionId
  private readonly space: SpaceId
  private readonly poolEpoch: number
  private counter = 0

  private constructor(
    parts: Pick<Service, 'store' | 'namespace'> & { session: SessionId; space: SpaceId; epoch: number },
  ) {
    this.store = parts.store
    this.namespace = parts.namespace
    this.session = parts.session
    this.space = parts.space
    this.poolEpoch = parts.epoch
  }

  static async open(entries: EntryStore, name: string): Promise<Service> {
    const store = createKeyValueStore({ store: entries, clock, random, service: name, entriesInFlight: 2 })
    const cluster = await ClusterState.open({ store, clock, random, replicas: 1, drivesExpected: 1 })
    await cluster.register({
      member: { id: 'c1', address: 'local:c1', zone: '', rack: '', host: 'h1' },
      drives: [
        { id: '0'.repeat(16), capacityBytes: 1e12, path: '/drives/1', device: '8:1', parent: '8:1/2' },
      ],
    })
    const sessions = new Sessions({ store, clock, random })
    const session = await sessions.open({ role: 'gateway', name })
    const keepAlive = (): void => {
      clock.setTimer(3_000, () => void sessions.renew(session).then(keepAlive, () => undefined))
    }
    keepAlive()
    const namespace = createNamespace({
      store,
      clock,
      random,
      sessions,
      guard: createWriterGuard(sessions, cluster),
    })
    const op = sessionScopedId<OpId>(session, 0)
    await namespace.createBucket({ op, bucket: BUCKET, owner: 'o', region: 'r' }).catch(() => undefined)
    const { space } = await namespace.getBucket({ bucket: BUCKET })
    return new Service({ store, namespace, session, space, epoch: cluster.known.pools[0]?.epoch ?? 0 })
  }

  async put(key: string): Promise<void> {
    const block = sessionScopedId<BlockId>(this.session, ++this.counter)
    const slice = { block, offset: 0, length: 4096, blockBytes: 4096, hash: random.bytes(32) }
    await this.namespace.putObject({
      context: {
        session: this.session,
        op: sessionScopedId<OpId>(this.session, ++this.counter),
        poolEpoch: this.poolEpoch,
        dirtyGroups: [],
      },
      bucket: BUCKET,
      space: this.space,
      key,
      map: { pool: 1, slices: [slice], pages: [] },
      sizeBytes: 4096,
      etag: Buffer.from(random.bytes(16)).toString('hex'),
      owner: 'o',
      attributes: { contentType: 'application/octet-stream' },
    })
  }
}

/** The key of one object, spread over folders. */
function keyOf(at: number): string {
  const folder = String(Math.floor(at / OBJECTS_PER_FOLDER)).padStart(6, '0')
  return `data/${folder}/object-${String(at % OBJECTS_PER_FOLDER).padStart(4, '0')}`
}

/** CPU time of other processes, in µs. */
function etcdCpuMicros(): number {
  const pids = values.pids.split('+').filter((pid) => pid !== '')
  const ticks = pids.map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? []
    return Number(fields[11]) + Number(fields[12])
  })
  return (ticks.reduce((sum, each) => sum + each, 0) * 1e6) / TICKS_PER_SECOND
}

/** Runs `action` by so many at once until `until` says so. */
async function closedLoop(
  count: number,
  until: (done: number) => boolean,
  action: (at: number) => Promise<unknown>,
): Promise<Figures> {
  const latencies: number[] = []
  const cpu = process.cpuUsage()
  const etcd = etcdCpuMicros()
  const startedMs = clock.monotonicMs()
  let next = 0
  const work = async (): Promise<void> => {
    while (!until(next)) {
      const at = next++
      const sentMs = clock.monotonicMs()
      await action(at)
      latencies.push(clock.monotonicMs() - sentMs)
    }
  }
  await Promise.all(Array.from({ length: count }, work))
  const seconds = (clock.monotonicMs() - startedMs) / 1000
  const used = process.cpuUsage(cpu)
  latencies.sort((a, b) => a - b)
  const quantile = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0
  return {
    perSecond: latencies.length / seconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    maxMs: quantile(1),
    serviceMicros: (used.user + used.system) / latencies.length,
    etcdMicros: (etcdCpuMicros() - etcd) / latencies.length,
  }
}

function forSeconds(seconds: number): () => boolean {
  const endMs = clock.monotonicMs() + seconds * 1000
  return () => clock.monotonicMs() >= endMs
}

async function load(objects: number): Promise<object> {
  const entries = await openEtcdEntryStore({ endpoints: values.endpoints.split(','), clock, random })
  const service = await Service.open(entries, 'load')
  const figures = await closedLoop(
    WRITERS,
    (done) => done >= objects,
    (at) => service.put(keyOf(at)),
  )
  const { revision } = await entries.read([])
  await service.store.close()
  return { ...figures, revision }
}

async function untilFollowing(mirror: MirroredEntryStore): Promise<number> {
  const startedMs = clock.monotonicMs()
  while (mirror.status().state !== 'following') {
    await new Promise<void>((resolve) => clock.setTimer(5, resolve))
  }
  return (clock.monotonicMs() - startedMs) / 1000
}

async function list(service: Service, until: () => boolean): Promise<number> {
  const startedMs = clock.monotonicMs()
  let keys = 0
  let after = ''
  while (!until()) {
    const page = await service.namespace.listObjects({
      bucket: BUCKET,
      prefix: '',
      delimiter: '',
      after,
      limit: 1000,
    })
    keys += page.objects.length
    after = page.truncated ? (page.objects.at(-1)?.key ?? '') : ''
  }
  return keys / ((clock.monotonicMs() - startedMs) / 1000)
}

async function reads(
  service: Service,
  objects: number,
): Promise<{ get: Figures; listKeysPerSecond: number }> {
  const seconds = Number(values.seconds)
  const get = await closedLoop(READERS, forSeconds(seconds), () =>
    service.namespace.getObject({ bucket: BUCKET, key: keyOf(Math.floor(random.fraction() * objects)) }),
  )
  return { get, listKeysPerSecond: await list(service, forSeconds(seconds)) }
}

async function measure(objects: number): Promise<object> {
  const path = join(values.folder, 'mirror.sqlite')
  const log = { info: tell, error: tell }
  const open = async (): Promise<MirroredEntryStore> => {
    const store = await openEtcdEntryStore({ endpoints: values.endpoints.split(','), clock, random })
    return openMirroredEntryStore({ store, path, clock, random, log })
  }
  const direct = await Service.open(
    await openEtcdEntryStore({ endpoints: values.endpoints.split(','), clock, random }),
    'direct',
  )
  const alone = await closedLoop(1, forSeconds(Number(values.seconds)), (at) =>
    direct.put(`probe/${at % 100}`),
  )
  const rssBefore = process.memoryUsage.rss()
  const cold = await open()
  const cpu = etcdCpuMicros()
  let coldSeconds = 0
  const filled = untilFollowing(cold).then((seconds) => {
    coldSeconds = seconds
  })
  const beside = await closedLoop(
    1,
    () => coldSeconds > 0,
    (at) => direct.put(`probe/${at % 100}`),
  )
  await filled
  const etcdFillSeconds = (etcdCpuMicros() - cpu) / 1e6
  const service = await Service.open(cold, 'mirrored')
  const withMirror = await reads(service, objects)
  const rss = process.memoryUsage.rss() - rssBefore
  const { rows, readsHere, readsThere, mismatches } = cold.status()
  await service.store.close()
  const warm = await open()
  const warmSeconds = await untilFollowing(warm)
  await warm.close()
  const withoutMirror = await reads(direct, objects)
  await direct.store.close()
  const fileBytes = statSync(path).size
  const mirror = {
    rows,
    readsHere,
    readsThere,
    mismatches,
    fileBytes,
    rss,
    coldSeconds,
    warmSeconds,
    etcdFillSeconds,
  }
  return { mirror, putsAlone: alone, putsBesideFill: beside, withMirror, withoutMirror }
}

/** What the mirror does, for whoever looks why it takes long. */
function tell({ err, ...fields }: { readonly err?: unknown }, message: string): void {
  const cause = err instanceof Error ? { cause: err.message } : {}
  process.stderr.write(`${JSON.stringify({ at: new Date().toISOString(), message, ...fields, ...cause })}\n`)
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

// While etcd is asked for a connection again, only timers wait, and those hold no process.
const alive = setInterval(() => undefined, 60_000)
const objects = Number(values.objects)
say(positionals[0] === 'load' ? await load(objects) : await measure(objects))
clearInterval(alive)
