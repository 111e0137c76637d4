/** What the suites run on: a store in a simulated world, and short ways to speak to it. */

import { type Random, systemClock } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock, type SimulatedClock } from '@cairn/protocol/simulation'
import type {
  Commit,
  CommitProof,
  CommitResult,
  Compare,
  Entry,
  EntryStore,
  KeyValueStore,
  LeaseId,
  Put,
  Read,
  ReadResult,
  StoreEvent,
  StoreKey,
  StoreRange,
  StoreRow,
} from '../../src/ports.js'

/** The seed of every random test; set CAIRN_TEST_SEED to repeat a run. */
export const seed: number = Number(process.env.CAIRN_TEST_SEED ?? 1)

export interface World {
  readonly clock: SimulatedClock
  readonly random: Random
}

export function createWorld(ownSeed: number = seed): World {
  const random = createSeededRandom(ownSeed)
  return { random, clock: createSimulatedClock(random) }
}

/** A world whose time is real, for stores that are processes of their own. */
export function createRealWorld(ownSeed: number = seed): World {
  const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
  return {
    random: createSeededRandom(ownSeed),
    clock: { ...systemClock, runUntil: (done) => done, advance: wait, jumpWall: () => undefined },
  }
}

/** A store under test in its world. */
export interface Subject {
  readonly world: World
  readonly store: KeyValueStore
  /** Present when the store outlives its process. */
  reopen?(how: 'after a clean close' | 'after a kill'): Promise<Subject>
  /** Removes what the store leaves behind. */
  discard?(): void
}

export const bytes = (text: string): Buffer => Buffer.from(text)
export const range = (from: string, to: string): StoreRange => ({ from: bytes(from), to: bytes(to) })
export const put = (key: string, value: string, lease?: LeaseId): Put =>
  lease === undefined
    ? { key: bytes(key), value: bytes(value) }
    : { key: bytes(key), value: bytes(value), lease }
export const absent = (key: string): Compare => ({ kind: 'absent', key: bytes(key) })
export const atRevision = (key: string, revision: number): Compare => ({
  kind: 'revision',
  key: bytes(key),
  revision,
})
export const createdAt = (key: string, created: number): Compare => ({
  kind: 'creation',
  key: bytes(key),
  created,
})
export const empty = (from: string, to: string): Compare => ({ kind: 'empty', range: range(from, to) })

/** Proof by the first row that the commit puts: it has exactly the value put. */
export function proofOf(commit: Commit): CommitProof {
  const first = commit.puts?.[0]
  if (first === undefined) return { keys: [], carries: () => false }
  return {
    keys: [first.key],
    carries: ([row]) => row !== undefined && Buffer.compare(row.value, first.value) === 0,
  }
}

/** Runs `action` on simulated time until it settles. */
export function settle<T>({ world }: Subject, action: Promise<T>): Promise<T> {
  return world.clock.runUntil(action)
}

/** Starts all commits in one turn and waits for all. */
export function commitAll(subject: Subject, ...commits: Commit[]): Promise<CommitResult[]> {
  const started = commits.map((commit) => subject.store.commit({ ...commit, proof: proofOf(commit) }))
  return settle(subject, Promise.all(started))
}

export async function commit(subject: Subject, one: Commit): Promise<CommitResult> {
  const [result] = await commitAll(subject, one)
  if (result === undefined) throw new Error('no result')
  return result
}

/** Puts rows without conditions; the revision. */
export async function write(subject: Subject, ...puts: Put[]): Promise<number> {
  const { committed, revision } = await commit(subject, { compares: [], puts })
  if (!committed) throw new Error('a commit without compares was refused')
  return revision
}

export async function find(subject: Subject, key: string): Promise<StoreRow | undefined> {
  const { results } = await settle(subject, subject.store.read([{ kind: 'get', key: bytes(key) }]))
  return results[0]?.[0]
}

export async function scan(
  subject: Subject,
  [from, to]: [string, string],
  options: Partial<Omit<Extract<Read, { kind: 'scan' }>, 'kind' | 'range'>> = {},
): Promise<string[]> {
  const { results } = await settle(
    subject,
    subject.store.read([{ kind: 'scan', range: range(from, to), limit: 1000, ...options }]),
  )
  return (results[0] ?? []).map((row) => `${row.key}=${row.value}`)
}

export const text = (value: StoreKey | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString()

/** A bare entry store as a `KeyValueStore`: one commit an entry, no lanes. */
export function withoutBatcher(store: EntryStore): KeyValueStore {
  return {
    async commit(one: Commit & { readonly proof: CommitProof }): Promise<CommitResult> {
      const [result] = await store.apply({ commits: [one], always: [] })
      if (result === undefined) throw new Error('no result')
      return result
    },
    read: (reads: readonly Read[]): Promise<ReadResult> => store.read(reads),
    readAuthority: (reads: readonly Read[]): Promise<ReadResult> => store.read(reads),
    watch: (within, from, signal): AsyncIterable<StoreEvent> => store.watch(within, from, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
  }
}

/**
 * Watches over the isolation rule by comparing every pair of commits of an entry, key by key: what the batcher
 * promises, told again without its code.
 */
export function withIsolationCheck(store: EntryStore): EntryStore {
  return {
    async apply(entry: Entry): Promise<readonly CommitResult[]> {
      entry.commits.forEach((one, at) => {
        for (const other of entry.commits.slice(at + 1)) {
          if (disturbs(one, other) || disturbs(other, one))
            throw new Error('an entry breaks the isolation rule')
        }
      })
      return store.apply(entry)
    },
    read: (reads) => store.read(reads),
    readAuthority: (reads) => store.readAuthority?.(reads) ?? store.read(reads),
    rowsAt: (keys, revision) => store.rowsAt(keys, revision),
    watch: (within, from, signal) => store.watch(within, from, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
  }
}

function disturbs(writer: Commit, other: Commit): boolean {
  const writes: StoreRange[] = [
    ...(writer.puts ?? []).map(({ key }) => single(key)),
    ...(writer.deletes ?? []).map(single),
    ...(writer.deleteRanges ?? []),
  ]
  const touched: StoreRange[] = [
    ...other.compares.map((compare) => (compare.kind === 'empty' ? compare.range : single(compare.key))),
    ...(other.puts ?? []).map(({ key }) => single(key)),
    ...(other.deletes ?? []).map(single),
    ...(other.deleteRanges ?? []),
  ]
  return writes.some((a) =>
    touched.some((b) => Buffer.compare(a.from, b.to) < 0 && Buffer.compare(b.from, a.to) < 0),
  )
}

const single = (key: StoreKey): StoreRange => ({ from: key, to: Buffer.concat([key, Buffer.from([0])]) })
