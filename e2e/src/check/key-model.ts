/** A key of a bucket: put, conditional put, delete, delete of a version, read; complete and copy are puts. */
import type { Call, CallHistory, Condition, Seen } from './call-history.js'
import { findOrder, type Model } from './linearizable.js'

/**
 * Versions from newest to oldest, `-` for a delete marker. Without versioning there is one, or none. What lies under
 * a version that nobody deletes can never be seen again, and is left out.
 */
type Versions = readonly (number | '-')[]

/** `undefined` if the calls of the key can be explained, else a description. */
export function explainKey(history: CallHistory, key: string, isVersioned: boolean): string | undefined {
  const calls = history.calls.filter((call) => call.key === key)
  const verdict = findOrder(keyModel(history, calls, isVersioned), calls)
  if (verdict.kind === 'explained') return undefined
  const what =
    verdict.kind === 'unexplained'
      ? 'no order of these calls explains the answers'
      : 'too tangled to be explained'
  return [`${key}: ${what}; at ${showCall(verdict.at)}`, ...around(calls, verdict.at).map(showCall)].join(
    '\n',
  )
}

/** What is wrong with a history: what was noted on the way, and keys whose calls nothing explains. */
export function judge(history: CallHistory, isVersioned: boolean): string[] {
  const unexplained = history.keys().flatMap((key) => explainKey(history, key, isVersioned) ?? [])
  return [...history.violations, ...unexplained]
}

/** Calls shown of a key that cannot be explained: the last before, the first after. */
const SHOWN_BEFORE = 40
const SHOWN_AFTER = 5

function around(calls: readonly Call[], at: Call): Call[] {
  const before = calls.filter(({ invokedAt }) => invokedAt <= at.returnedAt)
  const after = calls.filter(({ invokedAt }) => invokedAt > at.returnedAt)
  const unknown = before.slice(0, -SHOWN_BEFORE).filter(({ outcome }) => outcome === 'unknown')
  return [...unknown, ...before.slice(-SHOWN_BEFORE), ...after.slice(0, SHOWN_AFTER)]
}

function showCall({ effect, invokedAt, returnedAt, outcome, seen }: Call): string {
  return `  ${invokedAt}-${returnedAt} ${JSON.stringify(effect)} ${outcome} ${seen === undefined ? '' : JSON.stringify(seen)}`
}

function keyModel(history: CallHistory, calls: readonly Call[], isVersioned: boolean): Model<Versions, Call> {
  const deleted = new Set(calls.map(({ effect }) => (effect.kind === 'delete version' ? effect.op : '-')))
  deleted.delete('-')
  const shows = ([head]: Versions, seen: Seen): boolean => {
    if (head === undefined || head === '-') return seen === 'absent'
    if (seen === 'absent') return false
    return 'op' in seen ? seen.op === head : seen.etag === history.written.get(head)?.etag
  }
  const push = (state: Versions, version: number | '-'): Versions =>
    isVersioned && deleted.has(version) ? [version, ...state] : [version]
  const afterPut = (state: Versions, op: number, condition: Condition | undefined): Versions | undefined =>
    condition === undefined || shows(state, condition) ? push(state, op) : undefined
  const afterRefusal = (state: Versions, condition: Condition | undefined): Versions | undefined =>
    condition === undefined || shows(state, condition) ? undefined : state
  return {
    initial: [],
    nameOf: (state) => state.join(),
    isRead: ({ effect, outcome }) => effect.kind === 'read' || outcome === 'refused',
    nameOfEffect: ({ effect }) => JSON.stringify(effect),
    apply(state, { effect, outcome, seen }) {
      switch (effect.kind) {
        case 'read':
          return seen !== undefined && shows(state, seen) ? state : undefined
        case 'put':
          if (outcome === 'refused') return afterRefusal(state, effect.condition)
          return afterPut(state, effect.op, effect.condition)
        case 'delete':
          return isVersioned ? push(state, '-') : []
        case 'delete version':
          return state.filter((version) => version !== effect.op)
      }
    },
  }
}
