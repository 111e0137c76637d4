import { type BlockId, mapKey, type SessionId, sameBytes, sessionOf } from '@cairn/protocol'
import type {
  BlockIndex,
  IndexBatch,
  IndexedBlock,
  IndexedSegment,
  LiveDelta,
  SegmentCheckpoint,
} from '../ports.js'

/** A `BlockIndex` in memory: for tests, and for drives that are thrown away. */
export class MemoryBlockIndex implements BlockIndex {
  readonly isBroken = false
  readonly syncs = 0
  private readonly rows = new Map<string, IndexedBlock>()
  private readonly known = new Map<number, IndexedSegment>()
  private upcoming = { order: 1, sequence: 1 }
  /** Keys in order, until a row comes or goes. */
  private sorted: string[] | undefined

  get(block: BlockId): IndexedBlock | undefined {
    return this.rows.get(mapKey(block))
  }

  apply(batch: IndexBatch): void {
    for (const entry of batch.put) this.rows.set(mapKey(entry.block), entry)
    for (const block of batch.remove) this.rows.delete(mapKey(block))
    this.sorted = undefined
    for (const delta of batch.live) this.count(delta)
    const { checkpoint } = batch
    if (checkpoint === undefined) return
    for (const segment of checkpoint.segments) this.place(segment)
    for (const sequence of checkpoint.gone) this.known.delete(sequence)
    this.upcoming = { order: checkpoint.nextOrder, sequence: checkpoint.nextSequence }
  }

  range(after: BlockId | undefined, limit: number): IndexedBlock[] {
    this.sorted ??= [...this.rows.keys()].sort()
    const bound = after === undefined ? undefined : mapKey(after)
    const start = bound === undefined ? 0 : this.sorted.findIndex((key) => key > bound)
    if (start < 0) return []
    const rows: IndexedBlock[] = []
    for (const key of this.sorted.slice(start, start + limit)) {
      const row = this.rows.get(key)
      if (row !== undefined) rows.push(row)
    }
    return rows
  }

  damaged(after: BlockId | undefined, limit: number): IndexedBlock[] {
    return this.range(after, this.rows.size)
      .filter((row) => row.damaged)
      .slice(0, limit)
  }

  damagedCount(): number {
    return this.damaged(undefined, this.rows.size).length
  }

  writers(after: SessionId | undefined, limit: number): SessionId[] {
    const found = new Map<string, SessionId>()
    for (const row of this.rows.values()) {
      const session = sessionOf(row.block)
      found.set(Buffer.from(session).toString('hex'), session)
    }
    const bound = after === undefined ? '' : Buffer.from(after).toString('hex')
    return [...found.keys()]
      .filter((hex) => hex > bound)
      .sort()
      .slice(0, limit)
      .map((hex) => Buffer.from(hex, 'hex') as Uint8Array as SessionId)
  }

  last(session: SessionId): BlockId | undefined {
    let last: BlockId | undefined
    for (const { block } of this.rows.values()) {
      if (sameBytes(sessionOf(block), session) && (last === undefined || Buffer.compare(block, last) > 0)) {
        last = block
      }
    }
    return last
  }

  segments(): IndexedSegment[] {
    return [...this.known.values()]
  }

  next(): { order: number; sequence: number } {
    return this.upcoming
  }

  reset(): void {
    this.rows.clear()
    this.known.clear()
    this.sorted = undefined
  }

  close(): void {
    this.sorted = undefined
  }

  private count({ sequence, bytes, blocks }: LiveDelta): void {
    const old = this.known.get(sequence) ?? unread(sequence)
    this.known.set(sequence, {
      ...old,
      liveBytes: old.liveBytes + bytes,
      liveBlocks: old.liveBlocks + blocks,
    })
  }

  private place(checkpoint: SegmentCheckpoint): void {
    const old = this.known.get(checkpoint.sequence) ?? unread(checkpoint.sequence)
    this.known.set(checkpoint.sequence, { ...old, ...checkpoint })
  }
}

function unread(sequence: number): IndexedSegment {
  return {
    sequence,
    indexedTo: 0,
    sealed: false,
    tombstoneBytes: 0,
    horizon: 0,
    liveBytes: 0,
    liveBlocks: 0,
  }
}
