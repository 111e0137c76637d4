/**
 * Commits per second on etcd, as a program of its own: `commit-load.js JSON`, with `LoadOptions` as JSON; prints
 * `LoadResult` as JSON. Each commit is that of a small object: it compares four rows and writes one of some 270 bytes.
 */
import { systemClock, systemRandom } from '@cairn/protocol'
import { openEtcdEntryStore } from '../../src/adapters/etcd/etcd-entry-store.js'
import { createKeyValueStore } from '../../src/core/commit/batcher.js'
import type { Commit, CommitResult, EntryStore } from '../../src/ports.js'

export interface LoadOptions {
  readonly endpoints: readonly string[]
  readonly prefix: string
  /** How many wait for a commit at once. */
  readonly writers: number
  readonly seconds: number
  /** Entries under way at once; 0: no batcher, each commit is an entry of its own. */
  readonly entriesInFlight: number
}

export interface LoadResult {
  /** Warm-up and end included. */
  readonly total: number
  readonly commits: number
  readonly entries: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU of this process. */
  readonly cpuSeconds: number
}

const VALUE_BYTES = 220
const WARM_UP_MS = 500
/** On a machine that others use too, hundreds of entries at once may take longer than a service would wait. */
const PATIENCE_MS = 60_000

type Write = (key: string) => Promise<void>

/** Rows that every commit compares, as those of bucket, session and pool are. */
const SHARED = ['b/load', 's/load', 'm/pool']

async function makeShared(store: EntryStore): Promise<number> {
  const always = SHARED.map((key) => ({ key: Buffer.from(key), value: Buffer.alloc(60) }))
  await store.apply({ commits: [], always })
  const { results } = await store.read([{ kind: 'get', key: Buffer.from('b/load') }])
  return results[0]?.[0]?.revision ?? 0
}

function commitOf(key: string, revision: number): Commit {
  const row = Buffer.from(key)
  return {
    compares: [
      ...SHARED.map((shared) => ({ kind: 'revision', key: Buffer.from(shared), revision }) as const),
      { kind: 'absent', key: row },
    ],
    puts: [{ key: row, value: Buffer.alloc(VALUE_BYTES, key) }],
  }
}

function check(result: CommitResult | undefined): void {
  if (result?.committed !== true) throw new Error('a commit was refused')
}

/** One entry for each commit, with a lane row for each writer. */
function alone(store: EntryStore, revision: number): Write {
  return async (key) => {
    const value = Buffer.alloc(24, key)
    const always = [`l/${key.slice(0, 12)}`, 'head'].map((row) => ({ key: Buffer.from(row), value }))
    check((await store.apply({ commits: [commitOf(key, revision)], always }))[0])
  }
}

async function run(options: LoadOptions): Promise<LoadResult> {
  const world = { clock: systemClock, random: systemRandom }
  const store = await openEtcdEntryStore({
    ...options,
    ...world,
    attemptMs: PATIENCE_MS,
    totalMs: PATIENCE_MS,
  })
  const revision = await makeShared(store)
  let entries = 0
  const { entriesInFlight } = options
  const batcher = createKeyValueStore({
    store,
    ...world,
    service: 'load',
    entriesInFlight: Math.max(1, entriesInFlight),
    onEntry: () => void entries++,
  })
  const proof = { keys: [], carries: () => false }
  const shared: Write = async (key) => check(await batcher.commit({ ...commitOf(key, revision), proof }))
  const write = entriesInFlight === 0 ? alone(store, revision) : shared
  let number = 0
  let isOver = false
  let waits: number[] = []
  async function writer(at: number): Promise<void> {
    while (!isOver) {
      const startedMs = performance.now()
      await write(
        `o/12345678load/${String(at).padStart(4, '0')}/object-${String(number++).padStart(24, '0')}`,
      )
      waits.push(performance.now() - startedMs)
    }
  }
  const writers = Promise.all(Array.from({ length: options.writers }, (_, at) => writer(at)))
  await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS))
  waits = []
  entries = 0
  const cpu = process.cpuUsage()
  const startedMs = performance.now()
  await new Promise((resolve) => setTimeout(resolve, options.seconds * 1000))
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const done = waits.toSorted((a, b) => a - b)
  const counted = entriesInFlight === 0 ? done.length : entries
  isOver = true
  await writers
  await batcher.close()
  const at = (share: number): number => done[Math.floor(done.length * share)] ?? 0
  return {
    total: number,
    commits: done.length,
    entries: counted,
    seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuSeconds: (user + system) / 1e6,
  }
}

const result = await run(JSON.parse(process.argv[2] ?? '{}') as LoadOptions)
process.stdout.write(`${JSON.stringify(result)}\n`)
