/** Lets the repair budget see how long the commits of the foreground take. */
import type { Clock } from '@cairn/protocol'
import type { RepairBudget } from '../core/repair-budget.js'
import type { KeyValueStore } from '../ports.js'

/** The same store, with its commits timed. */
export function watchCommits(store: KeyValueStore, clock: Clock, budget: RepairBudget): KeyValueStore {
  return {
    commit(commit) {
      const startedMs = clock.monotonicMs()
      const result = store.commit(commit)
      const note = (): void => budget.noteCommit(clock.monotonicMs() - startedMs)
      result.then(note, note)
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
