/** Digests on worker threads: MD5 alone takes more than a second of CPU for each GB, serially for each body. */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { CairnError } from '@cairn/protocol'
import type { DigestAlgorithm, Digests } from '../api.js'
import type { DigestLane, DigestLanes } from '../bodies/digest-lanes.js'
import { DIGEST_THREADS_MAX } from '../limits.js'
import type { DigestAnswer, DigestOrder } from './digest-messages.js'

/** Starts a thread with the first long body, and up to one fewer than there are cores. */
export function createDigestThreads(): DigestLanes {
  const count = Math.max(1, Math.min(DIGEST_THREADS_MAX, availableParallelism() - 1))
  const threads: DigestThread[] = []
  const leastBusy = (): DigestThread => {
    const [first, ...others] = threads.filter((thread) => !thread.hasFailed)
    if (first === undefined) return start()
    const least = others.reduce((best, thread) => (thread.laneCount < best.laneCount ? thread : best), first)
    return least.laneCount > 0 && others.length + 1 < count ? start() : least
  }
  const start = (): DigestThread => {
    const thread = new DigestThread()
    threads.push(thread)
    return thread
  }
  return {
    open: (algorithms) => leastBusy().open(algorithms),
    close: async () => {
      await Promise.all(threads.splice(0).map((thread) => thread.close()))
    },
  }
}

class DigestThread {
  private failure: CairnError | undefined
  private readonly worker: Worker
  private readonly lanes = new Map<number, ThreadLane>()
  private laneNumber = 0

  constructor() {
    this.worker = new Worker(new URL('./digest-worker.js', import.meta.url), { execArgv: [] })
    this.worker.unref()
    this.worker.on('message', (answer: DigestAnswer) => this.lanes.get(answer.lane)?.take(answer))
    this.worker.on('error', (cause) => this.fail(cause))
    this.worker.on('exit', () => this.fail(undefined))
  }

  get hasFailed(): boolean {
    return this.failure !== undefined
  }

  get laneCount(): number {
    return this.lanes.size
  }

  open(algorithms: readonly DigestAlgorithm[]): DigestLane {
    const number = ++this.laneNumber
    const lane = new ThreadLane({
      number,
      send: (order) => this.worker.postMessage(order),
      ended: () => this.lanes.delete(number),
      failure: () => this.failure,
    })
    this.lanes.set(number, lane)
    this.worker.postMessage({ lane: number, algorithms } satisfies DigestOrder)
    return lane
  }

  async close(): Promise<void> {
    await this.worker.terminate()
  }

  private fail(cause: unknown): void {
    if (this.failure !== undefined) return
    const error = new CairnError('Internal', 'the thread that computes digests has stopped', { cause })
    this.failure = error
    for (const lane of [...this.lanes.values()]) lane.fail(error)
  }
}

interface LanePlace {
  readonly number: number
  send(order: DigestOrder): void
  ended(): void
  failure(): CairnError | undefined
}

interface Waiting {
  resolve(digests: Digests): void
  reject(error: unknown): void
}

class ThreadLane implements DigestLane {
  private readonly place: LanePlace
  /** Updates that are not done, in order, and at last whoever waits for the digests. */
  private readonly waiting: Waiting[] = []

  constructor(place: LanePlace) {
    this.place = place
  }

  async update(bytes: Uint8Array): Promise<void> {
    await this.order({ lane: this.place.number, bytes })
  }

  digests(): Promise<Digests> {
    return this.order({ lane: this.place.number, end: 'digests' })
  }

  leave(): void {
    this.order({ lane: this.place.number, end: 'leave' }).catch(() => undefined)
  }

  take({ digests }: DigestAnswer): void {
    this.waiting.shift()?.resolve(digests ?? {})
    if (digests !== undefined) this.place.ended()
  }

  fail(error: CairnError): void {
    this.place.ended()
    for (const { reject } of this.waiting.splice(0)) reject(error)
  }

  private order(order: DigestOrder): Promise<Digests> {
    const failure = this.place.failure()
    if (failure !== undefined) return Promise.reject(failure)
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject })
      this.place.send(order)
    })
  }
}
