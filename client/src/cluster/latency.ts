import { LATENCY_SAMPLES } from '../limits.js'

/** New samples after which the quantiles are computed again: sorting 64 numbers costs about 2 µs. */
const SAMPLES_PER_SORT = 16

/** The last latencies of one peer, in ms, and their quantiles. */
export class LatencyWindow {
  private readonly samples = new Float64Array(LATENCY_SAMPLES)
  private sorted = new Float64Array(0)
  /** The last of the sorted. */
  private longestMs = 0
  private count = 0
  private sinceSort = 0

  /** Samples so far, also those that are remembered no more. */
  get total(): number {
    return this.count
  }

  add(durationMs: number): void {
    this.samples[this.count % LATENCY_SAMPLES] = durationMs
    this.count++
    this.sinceSort++
    if (durationMs > this.longestMs) this.sinceSort = SAMPLES_PER_SORT
  }

  /** The last of the samples, up to `count`, in rising order. */
  latest(count: number): Float64Array {
    const taken = Math.min(count, this.count, LATENCY_SAMPLES)
    const latest = new Float64Array(taken)
    for (let at = 0; at < taken; at++) {
      latest[at] = this.samples[(this.count - 1 - at) % LATENCY_SAMPLES] ?? 0
    }
    return latest.sort()
  }

  /** Takes every sample for half as long as it was: old news. */
  fade(): void {
    for (let at = 0; at < LATENCY_SAMPLES; at++) this.samples[at] = (this.samples[at] ?? 0) / 2
    this.sinceSort = SAMPLES_PER_SORT
  }

  /** Forgets everything. */
  clear(): void {
    this.count = 0
    this.sorted = new Float64Array(0)
    this.longestMs = 0
    this.sinceSort = 0
  }

  /** The value that `share` (0 to 1) of the samples do not exceed; `undefined` before the first sample. */
  quantile(share: number): number | undefined {
    if (this.sinceSort >= SAMPLES_PER_SORT) {
      this.sorted = this.samples.slice(0, Math.min(this.count, LATENCY_SAMPLES)).sort()
      this.longestMs = this.sorted[this.sorted.length - 1] ?? 0
      this.sinceSort = 0
    }
    return this.sorted[Math.min(this.sorted.length - 1, Math.floor(this.sorted.length * share))]
  }
}
