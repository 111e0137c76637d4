/**
 * The rules of one entry, the same for every embedded store: all compares see the state before the entry, each
 * commit is applied or refused by its own compares, and whatever may refuse the whole entry does so before the
 * first write. The caller makes it atomic and durable.
 */
import { CairnError, sameBytes } from '@cairn/protocol'
import type {
  Commit,
  CommitResult,
  Compare,
  Entry,
  LeaseId,
  Put,
  StoreEvent,
  StoreKey,
  StoreRow,
} from '../../ports.js'
import type { RowTable, RowVersion } from './row-table.js'

/** What an entry did. No events means that nothing was written and the revision stays. */
export interface EntryOutcome {
  readonly results: readonly CommitResult[]
  readonly events: readonly StoreEvent[]
}

/** Where an entry is applied: the revision before it, and which leases live. */
export interface EntryContext {
  readonly table: RowTable
  readonly revision: number
  hasLease(lease: LeaseId): boolean
}

/** Applies an entry as revision `context.revision + 1`. A throw comes before any write. */
export function applyEntry(context: EntryContext, entry: Entry): EntryOutcome {
  const { table } = context
  assertFence(table, entry)
  const versions = new VersionsBefore(table)
  const verdicts = entry.commits.map((commit) => commit.compares.every((compare) => holds(versions, compare)))
  assertLeases(context, entry, verdicts)
  const refusedRows = entry.commits.map((commit, at) =>
    verdicts[at] === true ? undefined : commit.compares.map((compare) => rowOf(table, compare)),
  )
  const events: StoreEvent[] = []
  const next = context.revision + 1
  entry.commits.forEach((commit, at) => {
    if (verdicts[at] === true) write(table, commit, next, events)
  })
  for (const put of entry.always) writePut(table, put, next, events)
  const revision = events.length > 0 ? next : context.revision
  const results = refusedRows.map(
    (rows): CommitResult =>
      rows === undefined ? { committed: true, revision } : { committed: false, revision, rows },
  )
  return { results, events }
}

function assertFence(table: RowTable, { fence }: Entry): void {
  if (fence === undefined) return
  const found = table.find(fence.key)?.value
  const same =
    found === undefined || fence.value === undefined ? found === fence.value : sameBytes(found, fence.value)
  if (!same) throw new CairnError('PreconditionFailed', 'the fence of the entry does not hold')
}

function assertLeases(context: EntryContext, entry: Entry, verdicts: readonly boolean[]): void {
  entry.commits.forEach((commit, at) => {
    if (verdicts[at] !== true) return
    for (const put of commit.puts ?? []) {
      if (put.lease === undefined || context.hasLease(put.lease)) continue
      throw new CairnError('SessionExpired', `lease ${put.lease} has ended`)
    }
  })
}

function holds(versions: VersionsBefore, compare: Compare): boolean {
  switch (compare.kind) {
    case 'revision':
      return versions.find(compare.key)?.revision === compare.revision
    case 'creation':
      return versions.find(compare.key)?.created === compare.created
    case 'absent':
      return versions.table.findVersion(compare.key) === undefined
    case 'empty':
      return versions.table.findFirst(compare.range) === undefined
  }
}

/**
 * The commits of an entry compare the same few rows (bucket, session, map) over and over, by the very same key: each is
 * read once. A row that must be absent is compared by one commit alone.
 */
class VersionsBefore {
  readonly table: RowTable
  private readonly found = new Map<StoreKey, RowVersion | undefined>()

  constructor(table: RowTable) {
    this.table = table
  }

  find(key: StoreKey): RowVersion | undefined {
    const known = this.found.get(key)
    if (known !== undefined) return known
    const version = this.table.findVersion(key)
    this.found.set(key, version)
    return version
  }
}

function rowOf(table: RowTable, compare: Compare): StoreRow | undefined {
  return compare.kind === 'empty' ? table.findFirst(compare.range) : table.find(compare.key)
}

function write(table: RowTable, commit: Commit, revision: number, events: StoreEvent[]): void {
  for (const key of commit.deletes ?? []) if (table.delete(key)) events.push({ revision, key })
  for (const range of commit.deleteRanges ?? []) {
    for (const key of table.deleteRange(range)) events.push({ revision, key })
  }
  for (const put of commit.puts ?? []) writePut(table, put, revision, events)
}

function writePut(table: RowTable, put: Put, revision: number, events: StoreEvent[]): void {
  table.put(put.key, put.value, revision, put.lease)
  events.push({ revision, key: put.key, value: put.value })
}
