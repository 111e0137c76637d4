/** Latencies in an HDR histogram: 1 µs to 10 minutes, three digits, of a fixed size whatever the number of values. */
import { build, type Histogram } from 'hdr-histogram-js'

const HIGHEST_MICROS = 600_000_000

export interface Latencies {
  readonly count: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

export class LatencyHistogram {
  private readonly histogram: Histogram = build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_MICROS,
    numberOfSignificantValueDigits: 3,
  })

  record(ms: number): void {
    this.histogram.recordValue(Math.min(HIGHEST_MICROS, Math.max(1, Math.round(ms * 1000))))
  }

  summary(): Latencies {
    const { histogram } = this
    const at = (percentile: number): number => histogram.getValueAtPercentile(percentile) / 1000
    return {
      count: histogram.totalCount,
      meanMs: histogram.mean / 1000,
      p50Ms: at(50),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: histogram.maxValue / 1000,
    }
  }
}
