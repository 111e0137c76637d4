/**
 * Tells the metadata service of blocks with a missing or damaged copy, so that they are repaired soon. Never waited
 * for by a read, and never repeated: what is lost is found by the next scrub or comparison.
 */
import { type BlockId, type Clock, formatId, LIST_PAGE_MAX, reportBlocks } from '@cairn/protocol'
import type { MetadataCaller } from './metadata-caller.js'

/** Reports are collected for so long. */
const COLLECT_MS = 200
/** A block is reported once in this time. */
const AGAIN_MS = 30_000
/** Blocks remembered as reported. */
const REPORTED_MAX = 10_000

export class ReadReports {
  private readonly metadata: MetadataCaller
  private readonly clock: Clock
  private readonly reported = new Map<string, number>()
  private readonly waiting = new Map<number, BlockId[]>()
  private isScheduled = false

  constructor(metadata: MetadataCaller, clock: Clock) {
    this.metadata = metadata
    this.clock = clock
  }

  /** Takes a block unless it was reported just now, or too many wait. */
  add(pool: number, block: BlockId): void {
    const name = formatId(block)
    const nowMs = this.clock.monotonicMs()
    if ((this.reported.get(name) ?? 0) > nowMs) return
    const blocks = this.waiting.get(pool) ?? []
    if (blocks.length >= LIST_PAGE_MAX) return
    if (this.reported.size >= REPORTED_MAX) this.reported.clear()
    this.reported.set(name, nowMs + AGAIN_MS)
    blocks.push(block)
    this.waiting.set(pool, blocks)
    this.schedule()
  }

  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    this.clock.setTimer(COLLECT_MS, () => {
      this.isScheduled = false
      for (const [pool, blocks] of this.waiting) {
        this.metadata.read(reportBlocks, { pool, blocks }).catch(() => undefined)
      }
      this.waiting.clear()
    })
  }
}
