/**
 * Is there an order of a key's calls, each at one moment between its invocation and its return, that explains what
 * everybody was told? The search of Wing and Gong, with the memory of Lowe. Calls without an outcome may be left out.
 */
import type { Call, Condition, Ledger, Seen } from './history.js'

/** Versions from newest to oldest, `-` for a delete marker. */
type State = readonly (number | '-')[]

/** States that are looked at before the search gives up: a history this tangled proves nothing. */
const VISITS_MAX = 400_000

/** `undefined` if the calls of the key can be explained, else a description. */
export function explainKey(ledger: Ledger, key: string, isVersioned: boolean): string | undefined {
  const calls = ledger.calls.filter((call) => call.key === key)
  const search = new Search(ledger, calls, isVersioned)
  const verdict = search.run()
  return verdict === 'explained' ? undefined : `${key}: ${verdict}\n${calls.map(showCall).join('\n')}`
}

function showCall({ effect, invokedAt, returnedAt, outcome, seen }: Call): string {
  return `  ${invokedAt}-${returnedAt} ${JSON.stringify(effect)} ${outcome} ${seen === undefined ? '' : JSON.stringify(seen)}`
}

class Search {
  private readonly ledger: Ledger
  private readonly calls: readonly Call[]
  private readonly isVersioned: boolean
  private readonly seenStates = new Set<string>()
  private visits = 0

  constructor(ledger: Ledger, calls: readonly Call[], isVersioned: boolean) {
    this.ledger = ledger
    this.calls = [...calls].sort((a, b) => a.returnedAt - b.returnedAt || a.invokedAt - b.invokedAt)
    this.isVersioned = isVersioned
  }

  run(): 'explained' | 'no order of these calls explains the answers' | 'too tangled to be explained' {
    if (this.visit(0n, [])) return 'explained'
    return this.visits >= VISITS_MAX
      ? 'too tangled to be explained'
      : 'no order of these calls explains the answers'
  }

  private visit(done: bigint, state: State): boolean {
    const name = `${done.toString(36)} ${state.join()}`
    if (this.seenStates.has(name) || ++this.visits > VISITS_MAX) return false
    this.seenStates.add(name)
    const open = [...this.calls.entries()].filter(([at]) => (done & (1n << BigInt(at))) === 0n)
    if (open.every(([, call]) => call.outcome === 'unknown')) return true
    const horizon = Math.min(...open.map(([, call]) => call.returnedAt))
    for (const [at, call] of open) {
      if (call.invokedAt > horizon) continue
      const next = this.apply(call, state)
      if (next !== undefined && this.visit(done | (1n << BigInt(at)), next)) return true
    }
    return false
  }

  /** The state after the call; `undefined` if the call cannot have been answered so in this state. */
  private apply({ effect, outcome, seen }: Call, state: State): State | undefined {
    switch (effect.kind) {
      case 'read':
        return seen !== undefined && this.shows(state, seen) ? state : undefined
      case 'put':
        if (this.holds(state, effect.condition) === (outcome === 'refused')) return undefined
        return outcome === 'refused' ? state : this.push(state, effect.op)
      case 'delete':
        return this.isVersioned ? this.push(state, '-') : []
      case 'delete version':
        return state.filter((version) => version !== effect.op)
    }
  }

  private push(state: State, version: number | '-'): State {
    return this.isVersioned ? [version, ...state] : [version]
  }

  private holds(state: State, condition: Condition | undefined): boolean {
    return condition === undefined || this.shows(state, condition)
  }

  private shows([head]: State, seen: Seen): boolean {
    if (head === undefined || head === '-') return seen === 'absent'
    if (seen === 'absent') return false
    return 'op' in seen ? seen.op === head : seen.etag === this.ledger.written.get(head)?.etag
  }
}
