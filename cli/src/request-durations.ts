/**
 * The histogram of request durations. A histogram of the library costs each request as much as reading a small object
 * does in places, for it looks its labels up every time; here a request adds to two numbers, and the rest is done when
 * somebody scrapes.
 */
import type { Metric, MetricValue, Registry } from 'prom-client'

const NAME = 's3_request_duration_seconds'

/** Seconds; from one small cached read to a large upload over a slow line. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** Durations of one operation since the start. */
interface Tally {
  /** Requests by the first bucket that has them; the last are above all. */
  readonly counts: number[]
  sumSeconds: number
}

interface BucketValue extends MetricValue<string> {
  readonly metricName: string
}

export interface RequestDurations {
  add(operation: string, seconds: number): void
}

/** Adds the metric to the registry. */
export function addRequestDurations(registry: Registry): RequestDurations {
  const tallies = new Map<string, Tally>()
  const metric = {
    name: NAME,
    type: 'histogram',
    get: async () => ({
      name: NAME,
      help: 'Time from the request head to the end of the answer.',
      type: 'histogram',
      aggregator: 'sum',
      values: [...tallies].flatMap(([operation, tally]) => valuesOf(operation, tally)),
    }),
    reset: () => tallies.clear(),
  }
  // The registry asks its metrics for no more than this, though its types name the library's own classes.
  registry.registerMetric(metric as unknown as Metric)
  return {
    add(operation, seconds): void {
      const tally = tallies.get(operation) ?? addTally(tallies, operation)
      let bucket = 0
      while (bucket < BUCKETS.length && seconds > (BUCKETS[bucket] ?? 0)) bucket++
      tally.counts[bucket] = (tally.counts[bucket] ?? 0) + 1
      tally.sumSeconds += seconds
    },
  }
}

function addTally(tallies: Map<string, Tally>, operation: string): Tally {
  const tally = { counts: Array<number>(BUCKETS.length + 1).fill(0), sumSeconds: 0 }
  tallies.set(operation, tally)
  return tally
}

/** Buckets are cumulative. */
function valuesOf(operation: string, { counts, sumSeconds }: Tally): BucketValue[] {
  const values: BucketValue[] = []
  let count = 0
  for (const [index, more] of counts.entries()) {
    count += more
    const le = BUCKETS[index] ?? '+Inf'
    values.push({ metricName: `${NAME}_bucket`, labels: { le, operation }, value: count })
  }
  values.push({ metricName: `${NAME}_sum`, labels: { operation }, value: sumSeconds })
  values.push({ metricName: `${NAME}_count`, labels: { operation }, value: count })
  return values
}
