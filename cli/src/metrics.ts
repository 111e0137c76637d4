/** Prometheus metrics of one process. Names are a contract: dashboards and alerts rely on them. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { addRequestDurations } from './request-durations.js'

/** One finished S3 request, as the gateway reports it. */
export interface RequestSample {
  /** Empty for requests without a bucket. */
  readonly bucket: string
  readonly operation: string
  readonly status: number
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/** A value that is read when somebody scrapes. */
export interface GaugeSource {
  readonly name: string
  readonly help: string
  readonly kind: 'counter' | 'gauge'
  readonly labels?: readonly string[]
  read(): readonly { readonly value: number; readonly labels?: Record<string, string> }[]
}

export interface Metrics {
  observeRequest(sample: RequestSample): void
  add(source: GaugeSource): void
  /** Text in the Prometheus exposition format 0.0.4. */
  render(): Promise<string>
  readonly contentType: string
}

/** Buckets that get a label of their own; names that nobody could read or write do not count. */
const BUCKET_LABELS_MAX = 10_000

/** Labels for buckets that exist: else anybody could fill the server's memory with made-up names. */
function createBucketLabels(): (bucket: string, status: number) => string {
  const known = new Set<string>()
  return (bucket, status) => {
    if (status < 400 && known.size < BUCKET_LABELS_MAX) known.add(bucket)
    return known.has(bucket) ? bucket : ''
  }
}

/** Those of Node.js: a process has them once, since what observes it stays for good, and the servers in it come and go. */
let ofProcess: Registry | undefined

function processRegistry(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry()
    collectDefaultMetrics({ register: ofProcess })
  }
  return ofProcess
}

export function createMetrics(): Metrics {
  const labelOf = createBucketLabels()
  const registry = new Registry()
  const shared = processRegistry()
  const tallies = new Map<string, BucketTally>()
  addRequestCounters(registry, tallies)
  const durations = addRequestDurations(registry)
  return {
    observeRequest(sample: RequestSample): void {
      count(tallies, labelOf(sample.bucket, sample.status), sample)
      durations.add(sample.operation, sample.durationMs / 1000)
    },
    add: (source) => addSource(registry, source),
    render: async () => `${await shared.metrics()}${await registry.metrics()}`,
    contentType: registry.contentType,
  }
}

/** Requests of one bucket since the last scrape: a labelled counter would cost each of them some microseconds. */
interface BucketTally {
  /** By operation, then by status. */
  readonly requests: Map<string, Map<number, number>>
  bytesIn: number
  bytesOut: number
}

function count(tallies: Map<string, BucketTally>, bucket: string, sample: RequestSample): void {
  let tally = tallies.get(bucket)
  if (tally === undefined) {
    tally = { requests: new Map(), bytesIn: 0, bytesOut: 0 }
    tallies.set(bucket, tally)
  }
  let statuses = tally.requests.get(sample.operation)
  if (statuses === undefined) {
    statuses = new Map()
    tally.requests.set(sample.operation, statuses)
  }
  statuses.set(sample.status, (statuses.get(sample.status) ?? 0) + 1)
  tally.bytesIn += sample.bytesIn
  tally.bytesOut += sample.bytesOut
}

/** Counters that take over what was tallied when somebody scrapes. */
function addRequestCounters(registry: Registry, tallies: ReadonlyMap<string, BucketTally>): void {
  new Counter({
    name: 's3_requests_total',
    help: 'S3 requests by bucket, operation and HTTP status.',
    labelNames: ['bucket', 'operation', 'status'],
    registers: [registry],
    collect(): void {
      for (const [bucket, { requests }] of tallies) {
        for (const [operation, statuses] of requests) {
          for (const [status, value] of statuses) {
            this.inc({ bucket, operation, status: String(status) }, value)
          }
        }
        requests.clear()
      }
    },
  })
  new Counter({
    name: 's3_bytes_total',
    help: 'Body bytes by bucket and direction (in: from clients, out: to clients).',
    labelNames: ['bucket', 'direction'],
    registers: [registry],
    collect(): void {
      for (const [bucket, tally] of tallies) {
        if (tally.bytesIn > 0) this.inc({ bucket, direction: 'in' }, tally.bytesIn)
        if (tally.bytesOut > 0) this.inc({ bucket, direction: 'out' }, tally.bytesOut)
        tally.bytesIn = 0
        tally.bytesOut = 0
      }
    },
  })
}

function addSource(registry: Registry, source: GaugeSource): void {
  const { name, help } = source
  const shared = { name, help, labelNames: [...(source.labels ?? [])], registers: [registry] }
  if (source.kind === 'gauge') {
    new Gauge({
      ...shared,
      collect(): void {
        this.reset()
        for (const { labels, value } of source.read()) this.set(labels ?? {}, value)
      },
    })
    return
  }
  new Counter({
    ...shared,
    collect(): void {
      this.reset()
      for (const { labels, value } of source.read()) this.inc(labels ?? {}, value)
    },
  })
}
