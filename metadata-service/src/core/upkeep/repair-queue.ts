/**
 * Blocks that may lack a good copy, the most endangered first. Bounded: who finds more waits, or lets them go; what
 * is let go is found again by the next comparison.
 */
import { type BlockId, type DriveId, formatId } from '@cairn/protocol'

/** Somebody waits to hear how it went with a block. */
export interface RepairWatcher {
  /** `whole` if nothing is owed for this block any more. */
  settled(block: BlockId, whole: boolean): void
}

/** A block to be looked at. */
export interface SuspectBlock {
  readonly block: BlockId
  readonly pool: number
  /** Good copies that were seen, or are believed to be there. */
  readonly copies: number
  /** A drive that has it though it need not. */
  readonly seenOn?: DriveId
  readonly watchers: readonly RepairWatcher[]
  /** Attempts that have failed. */
  readonly attempts: number
}

/** Blocks waiting: at about 200 bytes each. */
const REPAIR_QUEUE_MAX = 20_000

/** Levels by copies; more copies share the last one. */
const LEVELS = 8

export class RepairQueue {
  private readonly levels: Map<string, SuspectBlock>[] = Array.from({ length: LEVELS }, () => new Map())
  private readonly limit: number
  private count = 0
  private waiting: (() => void)[] = []

  constructor(limit: number = REPAIR_QUEUE_MAX) {
    this.limit = limit
  }

  get size(): number {
    return this.count
  }

  get isFull(): boolean {
    return this.count >= this.limit
  }

  /** False if there is no room. A block that waits already is merged with the new word of it. */
  add(suspect: SuspectBlock): boolean {
    const name = formatId(suspect.block)
    const known = this.remove(name)
    if (known === undefined && this.isFull) return false
    const merged = known === undefined ? suspect : merge(known, suspect)
    // The id may be a view of a whole message: keep a copy of its own.
    const block = Uint8Array.from(merged.block) as BlockId
    this.levels[Math.min(LEVELS - 1, merged.copies)]?.set(name, { ...merged, block })
    this.count++
    return true
  }

  /** Takes at most `limit` of the most endangered. */
  take(limit: number): SuspectBlock[] {
    const taken: SuspectBlock[] = []
    for (const level of this.levels) {
      for (const [name, suspect] of level) {
        if (taken.length >= limit) break
        level.delete(name)
        taken.push(suspect)
      }
    }
    this.count -= taken.length
    this.wake()
    return taken
  }

  /** Resolves once there may be room; at once if there is. */
  async room(): Promise<void> {
    if (this.isFull) await new Promise<void>((resolve) => this.waiting.push(resolve))
  }

  /** Forgets everything; whoever waits for room goes on. */
  clear(): SuspectBlock[] {
    const all = this.take(this.count)
    this.wake()
    return all
  }

  private remove(name: string): SuspectBlock | undefined {
    for (const level of this.levels) {
      const found = level.get(name)
      if (found === undefined) continue
      level.delete(name)
      this.count--
      return found
    }
    return undefined
  }

  private wake(): void {
    if (this.isFull) return
    for (const resolve of this.waiting.splice(0)) resolve()
  }
}

function merge(known: SuspectBlock, added: SuspectBlock): SuspectBlock {
  const seenOn = added.seenOn ?? known.seenOn
  return {
    ...known,
    copies: Math.min(known.copies, added.copies),
    watchers: [...new Set([...known.watchers, ...added.watchers])],
    attempts: Math.min(known.attempts, added.attempts),
    ...(seenOn === undefined ? {} : { seenOn }),
  }
}
