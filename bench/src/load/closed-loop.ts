/** Closed-loop load: each connection sends its next request when the answer to the last is complete. */
import { type Latencies, LatencyHistogram } from './histogram.js'
import { openConnection } from './http-connection.js'
import { checkAnswer, type WorkItem } from './work.js'

export interface LoadOptions {
  readonly endpoint: string
  readonly connections: number
  /** Taken in order; the connections share them. */
  readonly items: Iterable<WorkItem>
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  readonly latencies: Latencies
}

/** Runs to the end; rejects on the first wrong answer. */
export async function runClosedLoop({ endpoint, connections, items }: LoadOptions): Promise<LoadResult> {
  const open = await Promise.all(Array.from({ length: connections }, () => openConnection(endpoint)))
  const histogram = new LatencyHistogram()
  const iterator = items[Symbol.iterator]()
  const started = performance.now()
  try {
    await Promise.all(
      open.map(async (connection) => {
        for (let next = iterator.next(); !next.done; next = iterator.next()) {
          const sent = performance.now()
          const answer = await connection.send(next.value.request)
          histogram.record(performance.now() - sent)
          checkAnswer(next.value, answer)
        }
      }),
    )
  } finally {
    for (const connection of open) connection.close()
  }
  return toResult(histogram, performance.now() - started)
}

/** Sums up what a histogram has seen in this time. */
export function toResult(histogram: LatencyHistogram, elapsedMs: number): LoadResult {
  const latencies = histogram.summary()
  const seconds = elapsedMs / 1000
  return { requests: latencies.count, seconds, perSecond: latencies.count / seconds, latencies }
}
