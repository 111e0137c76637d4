/** A batcher on a bench: over a memory store with a bad line, every entry recorded and checked. */
import { CairnError, type ErrorCode } from '@cairn/protocol'
import { createMemoryEntryStore } from '../../../src/adapters/embedded/memory-entry-store.js'
import { createKeyValueStore } from '../../../src/core/commit/batcher.js'
import type { Commit, CommitResult, Entry, EntryStore, KeyValueStore, StoreKey } from '../../../src/ports.js'
import { createFaultyEntryStore, type FaultyEntryStore } from '../../../src/simulation/faulty-entry-store.js'
import {
  absent,
  bytes,
  createWorld,
  proofOf,
  put,
  range,
  text,
  type World,
  withIsolationCheck,
} from '../../conformance/subject.js'

export interface Bench {
  readonly world: World
  readonly memory: EntryStore
  readonly line: FaultyEntryStore
  readonly store: KeyValueStore
  readonly entries: Entry[]
}

/** A batcher over a recorded, checked, faulty memory store. */
export function createBench(
  options: { entriesInFlight?: number; memory?: EntryStore; world?: World; service?: string } = {},
): Bench {
  const world = options.world ?? createWorld()
  const memory = options.memory ?? createMemoryEntryStore({ clock: world.clock })
  const line = createFaultyEntryStore({ store: withIsolationCheck(memory), random: world.random })
  const entries: Entry[] = []
  const recorded: EntryStore = {
    ...bound(line),
    apply(entry) {
      entries.push(entry)
      return line.apply(entry)
    },
  }
  const { entriesInFlight = 1, service = 'test' } = options
  const store = createKeyValueStore({ store: recorded, ...world, service, entriesInFlight })
  return { world, memory, line, store, entries }
}

export function bound(store: EntryStore): EntryStore {
  return {
    apply: (entry) => store.apply(entry),
    read: (reads) => store.read(reads),
    rowsAt: (keys, revision) => store.rowsAt(keys, revision),
    watch: (within, from, signal) => store.watch(within, from, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
  }
}

/** From now on every read of this row ends with this error; counts them. */
export function failReads(
  { line }: Bench,
  { code, of }: { code: ErrorCode; of: string },
): { readonly failed: number } {
  const count = { failed: 0 }
  const read = line.read.bind(line)
  const rowsAt = line.rowsAt.bind(line)
  const assertReadable = (keys: readonly StoreKey[]): void => {
    if (!keys.some((key) => text(key) === of)) return
    count.failed++
    throw new CairnError(code, `the row ${of} cannot be read`)
  }
  line.read = async (reads) => {
    assertReadable(reads.flatMap((one) => (one.kind === 'get' ? [one.key] : [])))
    return read(reads)
  }
  line.rowsAt = async (keys, revision) => {
    assertReadable(keys)
    return rowsAt(keys, revision)
  }
  return count
}

export function start({ store }: Bench, one: Commit): Promise<CommitResult> {
  return store.commit({ ...one, proof: proofOf(one) })
}

export function run(bench: Bench, ...commits: Commit[]): Promise<CommitResult[]> {
  return bench.world.clock.runUntil(Promise.all(commits.map((one) => start(bench, one))))
}

export async function storedText({ memory }: Bench, key: string): Promise<string | undefined> {
  return text((await memory.read([{ kind: 'get', key: bytes(key) }])).results[0]?.[0]?.value)
}

export async function rowsOf({ memory }: Bench, from: string, to: string): Promise<string[]> {
  const { results } = await memory.read([{ kind: 'scan', range: range(from, to), limit: 10_000 }])
  return (results[0] ?? []).map(({ key }) => Buffer.from(key).toString('latin1'))
}

export function codeOf(action: Promise<unknown>): Promise<ErrorCode | 'none'> {
  return action.then(
    () => 'none' as const,
    (error: unknown) => {
      if (error instanceof CairnError) return error.code
      throw error
    },
  )
}

/** Creates a row if there is none. */
export const create = (key: string, value: string = key): Commit => ({
  compares: [absent(key)],
  puts: [put(key, value)],
})
