/** How many positions each drive of a pool should hold. */
import { GROUPS_PER_POOL } from './limits.js'

interface Weighted {
  readonly id: string
  readonly weight: number
  readonly domain: string
}

/**
 * Shares of GROUPS_PER_POOL × `used` positions by weight, one for each drive, in order. No domain gets more than
 * one position of a group: what a heavy domain cannot hold goes to the others. Rounding is by largest remainder,
 * first among domains, then inside each, so a share differs from the exact one by less than two positions.
 */
export function computeShares(drives: readonly Weighted[], used: number): number[] {
  const weights = new Map<string, number>()
  for (const drive of drives) weights.set(drive.domain, (weights.get(drive.domain) ?? 0) + drive.weight)
  const names = [...weights.keys()].sort()
  const exact = capShares(
    names.map((name) => weights.get(name) ?? 0),
    GROUPS_PER_POOL * used,
  )
  const ofDomain = roundShares(exact, GROUPS_PER_POOL * used)
  const shares = drives.map(() => 0)
  names.forEach((name, at) => {
    const members = drives.flatMap((drive, index) => (drive.domain === name ? [{ drive, index }] : []))
    members.sort((a, b) => (a.drive.id < b.drive.id ? -1 : 1))
    const total = weights.get(name) ?? 0
    const share = ofDomain[at] ?? 0
    const parts = members.map(({ drive }) => (total > 0 ? (share * drive.weight) / total : 0))
    roundShares(parts, share).forEach((part, place) => {
      const member = members[place]
      if (member !== undefined) shares[member.index] = part
    })
  })
  return shares
}

/** Splits `total` by weight with at most GROUPS_PER_POOL each, heaviest first. */
function capShares(weights: readonly number[], total: number): number[] {
  const shares = weights.map(() => 0)
  const heaviestFirst = weights
    .map((_, at) => at)
    .sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b)
  let restWeight = weights.reduce((sum, weight) => sum + weight, 0)
  let rest = total
  for (const at of heaviestFirst) {
    const weight = weights[at] ?? 0
    if (weight <= 0) break
    shares[at] = Math.min(GROUPS_PER_POOL, (rest * weight) / restWeight)
    rest -= shares[at] ?? 0
    restWeight -= weight
  }
  return shares
}

/** Whole numbers with the sum `total`: the largest fractions are rounded up. */
function roundShares(exact: readonly number[], total: number): number[] {
  const whole = exact.map((share) => Math.floor(share + 1e-9))
  const missing = total - whole.reduce((sum, share) => sum + share, 0)
  const byFraction = exact.map((_, at) => at).sort((a, b) => fraction(exact[b]) - fraction(exact[a]) || a - b)
  for (const at of byFraction.slice(0, Math.max(0, missing))) whole[at] = (whole[at] ?? 0) + 1
  return whole
}

function fraction(share = 0): number {
  return share + 1e-9 - Math.floor(share + 1e-9)
}
