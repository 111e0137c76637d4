/** Which replica to read from next. Pure but for the peers' own counters. */
import type { Clock } from '@cairn/protocol'
import type { Target } from '../cluster/cluster-view.js'
import { ASIDE_MS, ASIDE_MS_MAX, HEDGE_MS_MIN, HEDGE_MS_UNKNOWN, OVERTAKEN_MAX } from '../limits.js'

/** Latency assumed of a peer that was never read from: between a good one and a bad one. */
const UNKNOWN_LATENCY_MS = 5

/** Preference for a replica on this host. */
const LOCAL_FACTOR = 0.5

const STATE_PENALTY: Record<Target['state'], number> = {
  up: 0,
  draining: 0,
  suspect: 1e6,
  dead: 1e9,
  out: 1e9,
}

/** Of a peer that says nothing: see `OVERTAKEN_MAX`. Less than of one that is suspect. */
const ASIDE_PENALTY = 1e5

/** Costs within this factor of the best count as equal: latencies of equal drives differ by chance. */
const NEAR_FACTOR = 2

/**
 * Costs within this factor of the best do not outweigh a page cache: a read of a cold drive takes several times as
 * long.
 */
const AFFINE_FACTOR = 4

/**
 * The least loaded and nearest of the targets; those whose drives are not up come last. Among equals the one that
 * was read least, so that every replica is read, and found out if it is damaged. Large blocks are `affine`: they are
 * read from the first of their group, whose machine then holds them in memory once, and not from each in turn. (Where
 * drives share a process, it is also the one that was written through the page cache.)
 */
export function chooseReplica(
  targets: readonly (Target | undefined)[],
  { affine, clock }: { readonly affine: boolean; readonly clock: Clock },
): Target | undefined {
  const bound = noteCosts(targets, clock) * (affine ? AFFINE_FACTOR : NEAR_FACTOR)
  let best: Target | undefined
  for (let at = 0; at < targets.length; at++) {
    const target = targets[at]
    if (target === undefined || (costs[at] ?? 0) > bound) continue
    if (affine) return target
    if (best === undefined || target.peer.readsBegun < best.peer.readsBegun) best = target
  }
  return best
}

/** Of the targets by their place; written before they are read, within one call. */
const costs: number[] = []

/** Returns the least. */
function noteCosts(targets: readonly (Target | undefined)[], clock: Clock): number {
  let least = Number.POSITIVE_INFINITY
  for (let at = 0; at < targets.length; at++) {
    const target = targets[at]
    const cost = target === undefined ? Number.POSITIVE_INFINITY : costOf(target, clock)
    costs[at] = cost
    if (cost < least) least = cost
  }
  return least
}

function costOf({ peer, state }: Target, clock: Clock): number {
  const latencyMs = peer.reads.quantile(0.5) ?? UNKNOWN_LATENCY_MS
  const load = (latencyMs + 0.1) * (peer.inFlight + 1) * (peer.local ? LOCAL_FACTOR : 1)
  const isAside = peer.overtaken >= OVERTAKEN_MAX && clock.monotonicMs() - peer.overtakenAtMs < asideMs(peer)
  return load + STATE_PENALTY[state] + (isAside ? ASIDE_PENALTY : 0)
}

/** Twice as long for each further read. */
function asideMs({ overtaken }: Target['peer']): number {
  return Math.min(ASIDE_MS_MAX, ASIDE_MS * 2 ** (overtaken - OVERTAKEN_MAX))
}

/** How long to wait for this target before another one is asked as well. */
export function hedgeDelayMs(target: Target): number {
  return Math.max(HEDGE_MS_MIN, target.peer.reads.quantile(0.95) ?? HEDGE_MS_UNKNOWN)
}
