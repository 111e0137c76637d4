/** Lets the repair budget see how long the commits of the foreground take. */
import type { Clock } from '@cairn/protocol'
import type { RepairBudget } from '../core/upkeep/repair-budget.js'
import type { CommitResult, KeyValueStore } from '../ports.js'

/** The same store, with its commits timed: one at a time, since those that share an entry take equally long. */
export function watchCommits(store: KeyValueStore, clock: Clock, budget: RepairBudget): KeyValueStore {
  let isTiming = false
  function time(result: Promise<CommitResult>): void {
    isTiming = true
    const startedMs = clock.monotonicMs()
    const note = (): void => {
      isTiming = false
      budget.noteCommit(clock.monotonicMs() - startedMs)
    }
    result.then(note, note)
  }
  return {
    commit(commit) {
      const result = store.commit(commit)
      if (!isTiming) time(result)
      return result
    },
    read: (reads) => store.read(reads),
    readNow: (reads) => store.readNow?.(reads),
    readAuthority: (reads) => store.readAuthority(reads),
    watch: (range, fromRevision, signal) => store.watch(range, fromRevision, signal),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    renewLease: (lease) => store.renewLease(lease),
    revokeLease: (lease) => store.revokeLease(lease),
    close: () => store.close(),
  }
}
