/** Random concurrent commits against a naive model: the history must be explained by the order of its revisions. */
import { expect } from 'chai'
import fc from 'fast-check'
import type { Commit, CommitResult, Compare, StoreRow } from '../../src/ports.js'
import {
  absent,
  atRevision,
  bytes,
  commitAll,
  createdAt,
  empty,
  put,
  range,
  type Subject,
  seed,
  settle,
  text,
} from './subject.js'

interface ModelRow {
  readonly value: string
  readonly revision: number
  readonly created: number
}

/** The naive store: a map, and each rule of the port in one line. */
class Model {
  rows = new Map<string, ModelRow>()

  holds(compare: Compare): boolean {
    if (compare.kind === 'empty') return this.within(compare.range).length === 0
    const row = this.rows.get(String(compare.key))
    if (compare.kind === 'absent') return row === undefined
    if (compare.kind === 'revision') return row?.revision === compare.revision
    return row?.created === compare.created
  }

  compared(compare: Compare): ModelRow | undefined {
    if (compare.kind !== 'empty') return this.rows.get(String(compare.key))
    const first = this.within(compare.range).sort()[0]
    return first === undefined ? undefined : this.rows.get(first)
  }

  apply(commit: Commit, revision: number): void {
    for (const key of commit.deletes ?? []) this.rows.delete(String(key))
    for (const each of commit.deleteRanges ?? []) for (const key of this.within(each)) this.rows.delete(key)
    for (const { key, value } of commit.puts ?? []) {
      const created = this.rows.get(String(key))?.created ?? revision
      this.rows.set(String(key), { value: String(value), revision, created })
    }
  }

  copy(): Model {
    const copy = new Model()
    copy.rows = new Map(this.rows)
    return copy
  }

  private within({ from, to }: { from: Uint8Array; to: Uint8Array }): string[] {
    return [...this.rows.keys()].filter((key) => String(from) <= key && key < String(to))
  }
}

type Step = {
  readonly compares: readonly {
    kind: 'revision' | 'absent' | 'creation' | 'empty'
    key: number
    seen: boolean
  }[]
  readonly puts: readonly number[]
  readonly deletes: readonly number[]
  readonly range: readonly [number, number] | undefined
}

const KEYS = 6
const key = (at: number): string => `k/${at}`
const keys: fc.Arbitrary<number> = fc.nat(KEYS - 1)

const step: fc.Arbitrary<Step> = fc.record({
  compares: fc.array(
    fc.record({
      kind: fc.constantFrom('revision' as const, 'absent' as const, 'creation' as const, 'empty' as const),
      key: keys,
      seen: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
  puts: fc.uniqueArray(keys, { maxLength: 2 }),
  deletes: fc.uniqueArray(keys, { maxLength: 1 }),
  range: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.tuple(keys, keys) },
  ),
})

/** Steps of one wave start in the same turn. */
const waves: fc.Arbitrary<Step[][]> = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), {
  minLength: 1,
  maxLength: 5,
})

function toCommit(one: Step, op: number, seen: ReadonlyMap<string, StoreRow | undefined>): Commit {
  const compares = one.compares.map((compare): Compare => {
    const row = compare.seen ? seen.get(key(compare.key)) : undefined
    if (compare.kind === 'absent') return absent(key(compare.key))
    if (compare.kind === 'empty') return empty(key(compare.key), `${key(compare.key)}~`)
    if (compare.kind === 'creation') return createdAt(key(compare.key), row?.created ?? 1)
    return atRevision(key(compare.key), row?.revision ?? 1)
  })
  const isInRange = (at: number): boolean =>
    one.range !== undefined && one.range[0] <= at && at < one.range[1]
  const puts = one.puts.filter((at) => !isInRange(at))
  const deletes = one.deletes.filter((at) => !isInRange(at) && !puts.includes(at))
  return {
    compares,
    puts: [put(`op/${op}`, `op ${op}`), ...puts.map((at) => put(key(at), `op ${op}`))],
    deletes: deletes.map((at) => bytes(key(at))),
    deleteRanges: one.range === undefined ? [] : [range(key(one.range[0]), key(one.range[1]))],
  }
}

interface Done {
  readonly commit: Commit
  readonly result: CommitResult
}

/** Replays by revision: commits of one revision all see the state before it. */
function explain(history: readonly Done[]): Model {
  const model = new Model()
  const revisions = [...new Set(history.map(({ result }) => result.revision))].sort((a, b) => a - b)
  for (const revision of revisions) {
    const before = model.copy()
    const entry = history.filter(({ result }) => result.revision === revision)
    for (const { commit, result } of entry) {
      if (!result.committed) continue
      expect(
        commit.compares.every((compare) => before.holds(compare)),
        'compares of a commit',
      ).to.equal(true)
      model.apply(commit, revision)
    }
    for (const { commit, result } of entry) {
      if (!result.committed) expectRefusal(commit, result.rows, [before, model])
    }
  }
  return model
}

/** A refusal is of the state before its revision or, where it shared no entry, of that revision itself. */
function expectRefusal(
  commit: Commit,
  rows: readonly (StoreRow | undefined)[],
  states: readonly Model[],
): void {
  const found = rows.map((row) => row?.revision)
  const explained = states.some(
    (state) =>
      !commit.compares.every((compare) => state.holds(compare)) &&
      commit.compares.every((compare, at) => state.compared(compare)?.revision === found[at]),
  )
  expect(explained, 'a refusal').to.equal(true)
}

async function runWaves(subject: Subject, plan: readonly (readonly Step[])[]): Promise<void> {
  const seen = new Map<string, StoreRow | undefined>()
  const history: Done[] = []
  for (const wave of plan) {
    const commits = wave.map((one, at) => toCommit(one, history.length + at, seen))
    const results = await commitAll(subject, ...commits)
    history.push(...results.map((result, at) => ({ commit: commits[at] ?? { compares: [] }, result })))
    for (const row of await readAll(subject, 'k/', 'k0')) seen.set(String(row.key), row)
  }
  const model = explain(history)
  const rows = [...(await readAll(subject, 'k/', 'k0')), ...(await readAll(subject, 'op/', 'op0'))]
  const stored = rows.map((row) => [
    text(row.key),
    { value: text(row.value), revision: row.revision, created: row.created },
  ])
  expect(stored).to.deep.equal([...model.rows].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Reads until an answer comes: reads may fail in a faulty world. */
async function readAll(subject: Subject, from: string, to: string): Promise<readonly StoreRow[]> {
  for (let attempt = 0; ; attempt++) {
    try {
      const read = subject.store.read([{ kind: 'scan', range: range(from, to), limit: 10_000 }])
      return (await settle(subject, read)).results[0] ?? []
    } catch (error) {
      if (attempt > 50) throw error
    }
  }
}

/** Adds the model test to a suite. */
export function describeAgainstModel(
  name: string,
  open: (worldSeed?: number) => Promise<Subject>,
  histories: number,
): void {
  describe(`${name} against the model`, () => {
    it(`explains ${histories} random histories of concurrent commits (seed ${seed})`, async function () {
      this.timeout(120_000)
      await fc.assert(
        fc.asyncProperty(waves, fc.nat(), async (plan, worldSeed) => {
          const subject = await open(worldSeed)
          try {
            await runWaves(subject, plan)
          } finally {
            await settle(subject, subject.store.close())
            subject.discard?.()
          }
        }),
        { numRuns: histories, seed },
      )
    })
  })
}
