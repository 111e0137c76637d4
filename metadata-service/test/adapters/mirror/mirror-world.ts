/** A mirror over a simulated store, and a history against which every answer is checked. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CairnError } from '@cairn/protocol'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import {
  type MirroredEntryStore,
  openMirroredEntryStore,
} from '../../../src/adapters/mirror/mirror-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import { CLUSTER_KEY, ClusterRow } from '../../../src/core/rows/cluster-state-rows.js'
import type { EntryStore, KeyValueStore, ReadResult, StoreRow } from '../../../src/ports.js'
import type { MirrorSource } from '../../../src/ports-mirror.js'
import {
  createMirrorSource,
  type MirrorSourceOptions,
  type SimulatedMirrorSource,
} from '../../../src/simulation/mirror-source.js'
import { bytes, createWorld, put, range, type World } from '../../conformance/subject.js'

/** What befalls the line between store and mirror. */
export type Trouble = Partial<Pick<MirrorSourceOptions, 'faultRate' | 'lossRate' | 'delayMsMax'>>

/** What a mistake in the mirror would look like from outside. */
export type Bug = (source: SimulatedMirrorSource) => EntryStore & MirrorSource

export class MirrorWorld {
  readonly world: World
  source: SimulatedMirrorSource
  readonly errors: string[] = []
  mirror!: MirroredEntryStore
  store!: KeyValueStore
  readonly folder: string
  private readonly bug: Bug
  private runs = 0

  private constructor(seed: number, trouble: Trouble, bug: Bug) {
    this.world = createWorld(seed)
    this.folder = mkdtempSync(join(tmpdir(), 'cairn-mirror-'))
    this.bug = bug
    const store = createMemoryEntryStore({ clock: this.world.clock })
    this.source = createMirrorSource({ store, ...this.world, ...trouble })
  }

  static async open(
    seed: number,
    trouble: Trouble = {},
    bug: Bug = (source) => source,
  ): Promise<MirrorWorld> {
    const world = new MirrorWorld(seed, trouble, bug)
    await world.start()
    return world
  }

  /** Opens mirror and batcher; the source stays as it is. */
  async start(): Promise<void> {
    const bugged = this.bug(this.source)
    this.mirror = await openMirroredEntryStore({
      store: { ...delegate(bugged), close: async () => undefined },
      path: join(this.folder, 'mirror.sqlite'),
      ...this.world,
      log: { info: () => undefined, error: (_, message) => this.errors.push(message) },
    })
    this.runs++
    this.store = createKeyValueStore({ store: this.mirror, ...this.world, service: `test-${this.runs}` })
  }

  run<T>(action: Promise<T>): Promise<T> {
    return this.world.clock.runUntil(action)
  }

  /** Lets time pass until the mirror answers. */
  async untilFollowing(): Promise<void> {
    for (let round = 0; this.mirror.status().state !== 'following'; round++) {
      if (round > 2_000) throw new Error(`the mirror stays ${this.mirror.status().state}: ${this.errors}`)
      await this.world.clock.advance(50)
    }
  }

  async write(key: string, value: string): Promise<number> {
    const commit = { compares: [], puts: [put(key, value)], proof: { keys: [], carries: () => false } }
    return (await this.run(this.store.commit(commit))).revision
  }

  /** Writes while no mirror is there. */
  async apply(key: string, value: string): Promise<void> {
    const head = put('head', `written with ${key} ${value}`)
    await this.run(this.source.apply({ commits: [], always: [put(key, value), head] }))
  }

  async writeCluster(incarnation: string): Promise<void> {
    const row = {
      clusterId: 'c',
      incarnation,
      featureLevel: 1,
      epoch: 1,
      createdMs: 0,
      change: Buffer.alloc(16),
    }
    const puts = [{ key: CLUSTER_KEY, value: ClusterRow.encode(row) }]
    await this.run(this.store.commit({ compares: [], puts, proof: { keys: [], carries: () => false } }))
  }

  /** An empty store in place of the one there was. */
  replaceStore(): void {
    const store = createMemoryEntryStore({ clock: this.world.clock })
    this.source = createMirrorSource({ store, ...this.world })
  }

  async find(key: string): Promise<StoreRow | undefined> {
    return (await this.run(this.store.read([{ kind: 'get', key: bytes(key) }]))).results[0]?.[0]
  }

  async stop(): Promise<void> {
    await this.run(this.store.close())
  }

  async close(): Promise<void> {
    await this.stop()
    await this.run(this.source.close())
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** All of a source, as an object that can be spread over. */
export function delegate(source: EntryStore & MirrorSource): EntryStore & MirrorSource {
  return {
    apply: (entry) => source.apply(entry),
    read: (reads) => source.read(reads),
    rowsAt: (keys, revision) => source.rowsAt(keys, revision),
    watch: (within, from, signal) => source.watch(within, from, signal),
    grantLease: (ttlMs) => source.grantLease(ttlMs),
    renewLease: (lease) => source.renewLease(lease),
    revokeLease: (lease) => source.revokeLease(lease),
    close: () => source.close(),
    head: () => source.head(),
    follow: (from, signal) => source.follow(from, signal),
    page: (within, limit, revision) => source.page(within, limit, revision),
    count: (within) => source.count(within),
  }
}

const KEYS = 12
const keyOf = (at: number): string => `o/${String(at).padStart(2, '0')}`

/** What a key held from some revision on. */
interface State {
  readonly revision: number
  readonly created: number
  readonly value: string | undefined
}

/** Every commit by its revision: what each key held when. */
class History {
  acknowledged = 0
  private readonly states = new Map<string, State[]>()

  note(key: string, revision: number, value: string | undefined): void {
    const states = this.states.get(key) ?? []
    this.states.set(key, states)
    states.push({ revision, created: 0, value })
    states.sort((a, b) => a.revision - b.revision)
    this.acknowledged = Math.max(this.acknowledged, revision)
  }

  /** Undefined if an acknowledgement at or before that revision is still on its way. */
  at(key: string, revision: number): State | undefined {
    const states = this.states.get(key) ?? []
    const before = states.filter((state) => state.revision <= revision)
    const found = before.at(-1)
    if (found?.value === undefined) return undefined
    const gone = before.findLastIndex(({ value }) => value === undefined)
    return { ...found, created: before[gone + 1]?.revision ?? 0 }
  }
}

/** An answer to be judged once all acknowledgements are in. */
interface Seen {
  readonly leastRevision: number
  readonly answer: ReadResult
}

/**
 * `steps` random commits and reads of a few keys, many under way at once. Returns what is wrong: an answer must hold
 * exactly the rows of its revision, and that is never older than what was acknowledged before the read began.
 */
export async function runHistory(world: MirrorWorld, steps: number): Promise<string[]> {
  const { random } = world.world
  const history = new History()
  const seen: Seen[] = []
  const wrong: string[] = []
  let values = 0
  const write = async (): Promise<void> => {
    const key = keyOf(Math.floor(random.fraction() * KEYS))
    const value = random.fraction() < 0.3 ? undefined : `value ${++values}`
    const changes = value === undefined ? { deletes: [bytes(key)] } : { puts: [put(key, value)] }
    const result = await world.store.commit({
      compares: [],
      ...changes,
      proof: { keys: [], carries: () => false },
    })
    history.note(key, result.revision, value)
  }
  const read = async (): Promise<void> => {
    const leastRevision = history.acknowledged
    try {
      const scan = { kind: 'scan' as const, range: range('o/', 'o0'), limit: 100 }
      seen.push({ leastRevision, answer: await world.store.read([scan]) })
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
    }
  }
  for (let done = 0; done < steps; ) {
    const wave = Array.from({ length: 1 + Math.floor(random.fraction() * 6) }, () =>
      random.fraction() < 0.5 ? write() : read(),
    )
    done += wave.length
    if (random.fraction() < 0.3) await world.world.clock.advance(random.fraction() * 40)
    await world.run(Promise.all(wave))
    if (random.fraction() < 0.003) world.source.compact()
    if (random.fraction() < 0.02) await world.world.clock.advance(10_000)
  }
  for (const each of seen) wrong.push(...judge(history, each))
  return wrong
}

function judge(history: History, { leastRevision, answer }: Seen): string[] {
  const wrong: string[] = []
  if (answer.revision < leastRevision) wrong.push(`revision ${answer.revision} after ${leastRevision}`)
  const rows = new Map((answer.results[0] ?? []).map((row) => [String(row.key), row]))
  for (let at = 0; at < KEYS; at++) {
    const key = keyOf(at)
    const expected = history.at(key, answer.revision)
    const row = rows.get(key)
    const said = row && `${row.value} @${row.revision} of ${row.created}`
    const right = expected && `${expected.value} @${expected.revision} of ${expected.created}`
    if (said !== right) wrong.push(`${key} at ${answer.revision}: ${said} instead of ${right}`)
  }
  return wrong
}
