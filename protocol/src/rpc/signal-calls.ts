import { CallGroup } from './types.js'

const groups = new WeakMap<AbortSignal, CallGroup>()

/**
 * The calls that a signal cancels. One listener serves all of them for the life of the signal: adding and removing
 * one for each call costs more than a small call itself.
 */
export function callsOf(signal: AbortSignal): CallGroup {
  const known = groups.get(signal)
  if (known !== undefined) return known
  const group = new CallGroup()
  groups.set(signal, group)
  signal.addEventListener('abort', () => group.cancel(), { once: true })
  return group
}
