/** The sorted block lists of drives, read page by page side by side: one page of each drive is held. */
import { type BlockEntry, type BlockId, CairnError, type Clock, type DriveId } from '@cairn/protocol'
import type { DriveMender, ListScope } from '../ports-blocks.js'

/** After each page a list rests so many times as long as the page took: others need the drives too. */
const REST_FACTOR = 2

/** What lists are read with. */
export interface DriveListOptions {
  readonly clock: Clock
  readonly drives: DriveMender
  /** A drive that has stopped answering. */
  onError(what: string, error: unknown): void
}

/** The sorted list of one drive, page by page. */
export class DriveList {
  readonly drive: DriveId
  /** It did not answer to the end: what it lacks is not known. */
  hasFailed = false
  private readonly options: DriveListOptions
  private readonly scope: ListScope
  private page: readonly BlockEntry[] = []
  private at = 0
  private next: BlockId | undefined
  private isLast = false

  constructor(options: DriveListOptions, drive: DriveId, scope: ListScope) {
    this.options = options
    this.drive = drive
    this.scope = scope
  }

  get head(): BlockEntry | undefined {
    return this.page[this.at]
  }

  /** The entry of this block, if it is the next one of the list. */
  entryOf(block: BlockId): BlockEntry | undefined {
    const { head } = this
    return head !== undefined && Buffer.compare(head.block, block) === 0 ? head : undefined
  }

  /** True if the next entry is at hand, or the end. */
  skip(): boolean {
    this.at++
    return this.head !== undefined || this.isLast
  }

  /** Reads pages until there is an entry, or the end. */
  async advance(): Promise<void> {
    while (this.head === undefined && !this.isLast) await this.readPage()
  }

  private async readPage(): Promise<void> {
    const { clock, drives, onError } = this.options
    const startedMs = clock.monotonicMs()
    try {
      const { blocks, next } = await drives.list(this.drive, this.next, this.scope)
      this.page = blocks
      this.at = 0
      this.next = next
      this.isLast = next === undefined
    } catch (error) {
      if (!(error instanceof CairnError)) throw error
      this.hasFailed = true
      this.isLast = true
      this.page = []
      onError(`list of drive ${this.drive}`, error)
    }
    const restMs = (clock.monotonicMs() - startedMs) * REST_FACTOR
    await new Promise<void>((resolve) => clock.setTimer(restMs, resolve))
  }
}

/** The lowest block id at the heads of the lists. */
export function lowestOf(lists: readonly DriveList[]): BlockId | undefined {
  let lowest: BlockId | undefined
  for (const { head } of lists) {
    if (head !== undefined && (lowest === undefined || Buffer.compare(head.block, lowest) < 0)) {
      lowest = head.block
    }
  }
  return lowest
}

/** Moves all lists on whose next block is this one; `undefined` if no page had to be read for that. */
export function advanceFrom(lists: readonly DriveList[], block: BlockId): Promise<void> | undefined {
  let atEnd: DriveList[] | undefined
  for (const list of lists) {
    if (list.entryOf(block) === undefined || list.skip()) continue
    atEnd ??= []
    atEnd.push(list)
  }
  return atEnd && advanceAll(atEnd)
}

async function advanceAll(lists: readonly DriveList[]): Promise<void> {
  for (const list of lists) await list.advance()
}
