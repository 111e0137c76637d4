/** Ratios between two targets measured in pairs, with a bootstrap interval. */
import { seeded } from './measure.js'

export interface Ratio {
  readonly median: number
  /** 95 % of resampled medians lie between these. */
  readonly low: number
  readonly high: number
}

const RESAMPLES = 2000

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  if (sorted.length % 2 === 1) return sorted[middle] ?? 0
  return ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

/** `ours[i] / theirs[i]` of pairs from the same round; needs at least one pair. */
export function pairedRatio(ours: readonly number[], theirs: readonly number[]): Ratio {
  const ratios = ours.map((value, at) => value / (theirs[at] ?? Number.NaN)).filter(Number.isFinite)
  const random = seeded(ratios.length)
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(ratios.map(() => ratios[Math.floor(random() * ratios.length)] ?? 0)),
  ).sort((a, b) => a - b)
  return {
    median: median(ratios),
    low: medians[Math.floor(RESAMPLES * 0.025)] ?? 0,
    high: medians[Math.floor(RESAMPLES * 0.975)] ?? 0,
  }
}
