/**
 * Open-loop load: requests arrive at a given rate whether the server keeps up or not, and a latency counts from the
 * moment a request was due, so that a stall is felt by all that should have been sent meanwhile ("coordinated
 * omission", Gil Tene).
 */
import { type LoadResult, toResult } from './closed-loop.js'
import { LatencyHistogram } from './histogram.js'
import { type HttpConnection, openConnection } from './http-connection.js'
import { checkAnswer, type WorkItem } from './work.js'

export interface OpenLoopOptions {
  readonly endpoint: string
  readonly items: readonly WorkItem[]
  readonly perSecond: number
  /** Connections that may be busy at once; arrivals beyond wait, and their wait counts. */
  readonly connectionsMax: number
  /** 0 to 1: gaps drawn from it exponentially make a Poisson stream. */
  readonly random: () => number
}

interface Arrival {
  readonly item: WorkItem
  readonly dueMs: number
}

/** Runs to the end; rejects on the first wrong answer. */
export async function runOpenLoop(options: OpenLoopOptions): Promise<LoadResult> {
  const { endpoint, connectionsMax } = options
  const all = await Promise.all(Array.from({ length: connectionsMax }, () => openConnection(endpoint)))
  const histogram = new LatencyHistogram()
  const started = performance.now()
  try {
    await new Promise<void>((resolve, reject) => {
      const servers = new IdleConnections(all, histogram, { total: options.items.length, resolve, reject })
      send(options, started, servers)
    })
  } finally {
    for (const connection of all) connection.close()
  }
  return toResult(histogram, performance.now() - started)
}

/** Hands every request over at its time. */
function send(options: OpenLoopOptions, startedMs: number, servers: IdleConnections): void {
  const { items, perSecond, random } = options
  let at = 0
  let dueMs = startedMs
  function tick(): void {
    for (let item = items[at]; item !== undefined && dueMs <= performance.now(); item = items[++at]) {
      servers.arrive({ item, dueMs })
      dueMs += (-Math.log(1 - random()) / perSecond) * 1000
    }
    if (at < items.length) setTimeout(tick, Math.max(0, dueMs - performance.now()))
  }
  tick()
}

interface Ending {
  readonly total: number
  resolve(): void
  reject(error: unknown): void
}

class IdleConnections {
  private readonly idle: HttpConnection[]
  private readonly waiting: Arrival[] = []
  private readonly histogram: LatencyHistogram
  private readonly ending: Ending
  private left: number

  constructor(connections: readonly HttpConnection[], histogram: LatencyHistogram, ending: Ending) {
    this.idle = [...connections]
    this.histogram = histogram
    this.ending = ending
    this.left = ending.total
  }

  arrive(arrival: Arrival): void {
    const connection = this.idle.pop()
    if (connection === undefined) this.waiting.push(arrival)
    else this.serve(connection, arrival).catch((error: unknown) => this.ending.reject(error))
  }

  private async serve(connection: HttpConnection, first: Arrival): Promise<void> {
    for (let next: Arrival | undefined = first; next !== undefined; next = this.waiting.shift()) {
      const answer = await connection.send(next.item.request)
      this.histogram.record(performance.now() - next.dueMs)
      checkAnswer(next.item, answer)
      this.left--
    }
    this.idle.push(connection)
    if (this.left === 0) this.ending.resolve()
  }
}
