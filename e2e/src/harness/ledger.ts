/**
 * What was acknowledged, kept outside the processes that get killed. Each key has one writer, so that at any moment
 * its right state is the last one acknowledged, or that of the one operation whose answer was lost.
 */

/** SHA-256 of the content, or `undefined` for "no such key". */
export type KeyState = string | undefined

interface Entry {
  acknowledged: KeyState
  /** States that an unanswered operation may have left. */
  possible: KeyState[]
}

export interface Ledger {
  /** Before an operation is sent: it may leave this state from now on. */
  begin(key: string, state: KeyState): void
  /** A success answer: this is the state, and nothing else. */
  acknowledge(key: string, state: KeyState): void
  /** A definite refusal: the operation has not happened. */
  refuse(key: string, state: KeyState): void
  keys(): string[]
  /** A complaint if `found` is neither the acknowledged state nor a possible one; then `found` becomes the state. */
  check(key: string, found: KeyState): string | undefined
}

export function createLedger(): Ledger {
  const entries = new Map<string, Entry>()
  function entryOf(key: string): Entry {
    let entry = entries.get(key)
    if (entry === undefined) {
      entry = { acknowledged: undefined, possible: [] }
      entries.set(key, entry)
    }
    return entry
  }
  return {
    begin: (key, state) => void entryOf(key).possible.push(state),
    acknowledge(key, state) {
      entries.set(key, { acknowledged: state, possible: [] })
    },
    refuse(key, state) {
      const entry = entryOf(key)
      const at = entry.possible.lastIndexOf(state)
      if (at >= 0) entry.possible.splice(at, 1)
    },
    keys: () => [...entries.keys()],
    check(key, found) {
      const entry = entryOf(key)
      const good = found === entry.acknowledged || entry.possible.includes(found)
      const complaint = good
        ? undefined
        : `${key}: found ${found ?? 'nothing'}, acknowledged ${entry.acknowledged ?? 'nothing'}, possible ${entry.possible.length}`
      entries.set(key, { acknowledged: found, possible: [] })
      return complaint
    },
  }
}
