/**
 * Deletions: tombstones in the log first, then the table. While one is queued its block is marked, so that
 * compaction makes no copy of it that the tombstone's horizon would not cover. The other way round a deletion waits
 * for a large copy that is under way: the copy may become durable after the tombstone was indexed, and a start that
 * reads only what is not indexed would find the copy alone.
 *
 * ● Nobody is told of a copy while a deletion that may take it is under way: a copy that others count must not be gone
 * once the sync ends (`ended`).
 */
import { type BlockId, CairnError, mapKey } from '@cairn/protocol'
import type { GroupCommit, Placement } from '../segments/group-commit.js'
import { TOMBSTONES_PER_RECORD_MAX, tombstoneRecordBytes } from '../segments/record.js'
import type { BlockTable } from './block-table.js'

/** What a deletion came to; `freedBytes` are of the blocks alone. */
export interface Deleted {
  readonly deleted: number
  readonly freedBytes: number
}

export class Deletions {
  /** Keys of blocks with deletions queued that are not in the table yet, and how many. */
  readonly deleting: Map<string, number> = new Map()
  /** Large blocks that compaction is copying, by key; resolves, whatever became of the copy, and never rejects. */
  readonly copying: Map<string, Promise<void>> = new Map()
  private readonly log: GroupCommit
  private readonly table: BlockTable
  private readonly running = new Set<Promise<Deleted>>()

  constructor(log: GroupCommit, table: BlockTable) {
    this.log = log
    this.table = table
  }

  /** Durable once it resolves; absent blocks are skipped. */
  async delete(blocks: readonly BlockId[]): Promise<Deleted> {
    const work = this.deleteNow(blocks)
    this.running.add(work)
    try {
      return await work
    } finally {
      this.running.delete(work)
    }
  }

  /** Waits for the deletions that have begun so far; `undefined` if there are none, as nearly always. */
  ended(): Promise<unknown> | undefined {
    return this.running.size === 0 ? undefined : Promise.allSettled(this.running)
  }

  private async deleteNow(blocks: readonly BlockId[]): Promise<Deleted> {
    while (this.copying.size > 0) {
      const copies = blocks.flatMap((block) => this.copying.get(mapKey(block)) ?? [])
      if (copies.length === 0) break
      await Promise.all(copies)
    }
    const present = blocks.filter((block) => this.table.find(block) !== undefined)
    const parts: Promise<Deleted>[] = []
    for (let at = 0; at < present.length; at += TOMBSTONES_PER_RECORD_MAX) {
      parts.push(this.entomb(present.slice(at, at + TOMBSTONES_PER_RECORD_MAX)))
    }
    const total = { deleted: 0, freedBytes: 0 }
    for (const { deleted, freedBytes } of await Promise.all(parts)) {
      total.deleted += deleted
      total.freedBytes += freedBytes
    }
    return total
  }

  private entomb(blocks: readonly BlockId[]): Promise<Deleted> {
    const keys = blocks.map(mapKey)
    return new Promise((resolve, reject) => {
      this.log.append({
        kind: 'tombstones',
        tombstones: blocks.map((block) => ({ block, order: 0, horizon: 0 })),
        recordBytes: tombstoneRecordBytes(blocks.length),
        settle: (outcome) => {
          this.countDeleting(keys, -1)
          if (outcome instanceof CairnError) reject(outcome)
          else resolve(this.bury(outcome))
        },
      })
      this.countDeleting(keys, 1)
    })
  }

  private bury({ tombstones }: Placement): Deleted {
    let deleted = 0
    let freedBytes = 0
    for (const { block, order } of tombstones) {
      const key = mapKey(block)
      const known = this.table.find(block, key)
      if (known === undefined || known.order > order) continue
      this.table.remove(block, key)
      deleted++
      freedBytes += known.sizeBytes
    }
    return { deleted, freedBytes }
  }

  private countDeleting(keys: readonly string[], change: 1 | -1): void {
    for (const key of keys) {
      const count = (this.deleting.get(key) ?? 0) + change
      if (count === 0) this.deleting.delete(key)
      else this.deleting.set(key, count)
    }
  }
}
