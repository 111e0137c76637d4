/** Closed-loop load: each connection sends its next request when the answer to the last is complete. */

import { openConnection, type PreparedRequest } from './http-connection.js'
import { cpuSeconds } from './process-cpu.js'

export interface LoadOptions {
  readonly endpoint: string
  readonly connections: number
  /** How many requests in all. */
  readonly requests: number
  /** The n-th request; called in order. */
  readonly prepare: (index: number) => PreparedRequest
  readonly expectStatus: number
  /** Bytes each answer must have; unchecked if absent. */
  readonly expectBytes?: number
  /** Server processes whose CPU time is counted. */
  readonly pids: readonly number[]
}

export interface LoadResult {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  /** Server CPU (user + system) per request, in µs. */
  readonly cpuMicros: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function totalCpu(pids: readonly number[]): Promise<number> {
  let total = 0
  for (const pid of pids) total += await cpuSeconds(pid)
  return total
}

/** Runs to the end; rejects on the first wrong status or length: a benchmark of errors is worth nothing. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const connections = await Promise.all(
    Array.from({ length: options.connections }, () => openConnection(options.endpoint)),
  )
  const latencies = new Float64Array(options.requests)
  let next = 0
  const cpuBefore = await totalCpu(options.pids)
  const started = performance.now()
  await Promise.all(
    connections.map(async (connection) => {
      while (next < options.requests) {
        const index = next++
        const request = options.prepare(index)
        const sent = performance.now()
        const answer = await connection.send(request)
        latencies[index] = performance.now() - sent
        check(answer, options)
      }
    }),
  )
  const seconds = (performance.now() - started) / 1000
  const cpu = (await totalCpu(options.pids)) - cpuBefore
  for (const connection of connections) connection.close()
  latencies.sort()
  return {
    requests: options.requests,
    seconds,
    perSecond: options.requests / seconds,
    cpuMicros: (cpu / options.requests) * 1e6,
    p50Ms: latencies[Math.floor(options.requests * 0.5)] ?? 0,
    p99Ms: latencies[Math.floor(options.requests * 0.99)] ?? 0,
  }
}

function check(answer: { status: number; bodyBytes: number }, options: LoadOptions): void {
  if (answer.status !== options.expectStatus)
    throw new Error(`status ${answer.status} instead of ${options.expectStatus}`)
  if (options.expectBytes !== undefined && answer.bodyBytes !== options.expectBytes) {
    throw new Error(`${answer.bodyBytes} bytes instead of ${options.expectBytes}`)
  }
}
