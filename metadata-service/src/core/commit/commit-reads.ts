/**
 * Linearizable batching of reads: a read joins only a request that has not been sent yet. While few are under way
 * each is sent at once; only then do they wait, together, for the next request.
 */
import { type CairnError, hasCode, toCairnError } from '@cairn/protocol'
import type { EntryStore, Read, ReadResult } from '../../ports.js'
import { READS_IN_FLIGHT_MAX, READS_PER_REQUEST_MAX } from './commit-limits.js'

/** Errors that one of several reads may have brought on their request. */
const SPLIT_CODES = ['MessageTooLarge', 'InvalidArgument', 'MessageCorrupt'] as const

interface WaitingRead {
  readonly reads: readonly Read[]
  resolve(result: ReadResult): void
  reject(error: CairnError): void
}

/** Where the requests go. */
export interface Readable {
  read(reads: readonly Read[]): Promise<ReadResult>
}

/** Scans may take long: they neither hold up reads of rows by their keys nor share a request with them. */
export class ReadBatcher {
  private readonly gets: ReadLane
  private readonly scans: ReadLane

  constructor(store: Readable) {
    this.gets = new ReadLane(store)
    this.scans = new ReadLane(store)
  }

  /** See `KeyValueStore.read`. */
  read(reads: readonly Read[]): Promise<ReadResult> {
    const lane = reads.some(({ kind }) => kind === 'scan') ? this.scans : this.gets
    return lane.read(reads)
  }
}

class ReadLane {
  private readonly store: Readable
  private readonly waiting: WaitingRead[] = []
  private inFlight = 0

  constructor(store: Readable) {
    this.store = store
  }

  read(reads: readonly Read[]): Promise<ReadResult> {
    if (this.inFlight >= READS_IN_FLIGHT_MAX) {
      return new Promise((resolve, reject) => this.waiting.push({ reads, resolve, reject }))
    }
    this.inFlight++
    const result = this.store.read(reads)
    result.then(this.leave, this.leave)
    return result
  }

  private readonly leave = (): void => {
    this.inFlight--
    if (this.waiting.length > 0) void this.sendWaiting()
  }

  private async sendWaiting(): Promise<void> {
    const batch = this.takeWaiting()
    this.inFlight++
    try {
      await this.sendJointly(batch)
    } finally {
      this.inFlight--
      if (this.waiting.length > 0) void this.sendWaiting()
    }
  }

  private takeWaiting(): WaitingRead[] {
    let count = 0
    let size = 0
    for (const { reads } of this.waiting) {
      if (count > 0 && size + reads.length > READS_PER_REQUEST_MAX) break
      count++
      size += reads.length
    }
    return this.waiting.splice(0, count)
  }

  private async sendJointly(batch: readonly WaitingRead[]): Promise<void> {
    try {
      const { revision, results } = await this.store.read(batch.flatMap(({ reads }) => reads))
      let from = 0
      for (const { reads, resolve } of batch) {
        resolve({ revision, results: results.slice(from, from + reads.length) })
        from += reads.length
      }
    } catch (error) {
      if (batch.length > 1 && hasCode(error, ...SPLIT_CODES)) await this.sendApart(batch)
      else for (const { reject } of batch) reject(toCairnError(error))
    }
  }

  /** One of them was at fault: the others do not suffer for it. */
  private async sendApart(batch: readonly WaitingRead[]): Promise<void> {
    for (const one of batch) await this.sendJointly([one])
  }
}

/** Reads that no copy of the store answers. */
export function authorityOf(store: EntryStore): Readable {
  return {
    read: (reads) => (store.readAuthority === undefined ? store.read(reads) : store.readAuthority(reads)),
  }
}
