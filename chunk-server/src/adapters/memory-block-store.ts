/** Blocks in memory, with every promise of the port but durability. For tests and throw-away clusters. */
import {
  BLOCK_BYTES_MAX,
  BlockEntry,
  type BlockId,
  type BlockOwner,
  CairnError,
  type Clock,
  createBlockHasher,
  formatId,
  groupOf,
  type SessionId,
  sameBytes,
  sessionOf,
  UNIT_BYTES,
  type Unit,
  type UnitSource,
  unitCheck,
} from '@cairn/protocol'
import type {
  BlockPage,
  BlockStore,
  ListFilter,
  OpenBlock,
  StoredBlock,
  StoreUsage,
  VerifiedBlocks,
} from '../ports.js'

/** One block of a `MemoryBlocks`. The bytes may be changed by a test that plays a rotting disk. */
export interface MemoryBlock {
  readonly entry: BlockEntry & { readonly owner: BlockOwner }
  readonly units: readonly Unit[]
}

/** What a memory store stands on: outlives the store, as a disk would. Keyed by hex block id. */
export type MemoryBlocks = Map<string, MemoryBlock>

export interface MemoryBlockStoreOptions {
  readonly clock: Clock
  readonly blocks?: MemoryBlocks
}

export function createMemoryBlockStore(options: MemoryBlockStoreOptions): BlockStore {
  return new MemoryBlockStore(options)
}

class MemoryBlockStore implements BlockStore {
  private readonly clock: Clock
  private readonly blocks: MemoryBlocks
  private readonly damaged = new Set<string>()
  private closed = false

  constructor(options: MemoryBlockStoreOptions) {
    this.clock = options.clock
    this.blocks = options.blocks ?? new Map()
  }

  async put(
    block: BlockId,
    owner: BlockOwner,
    source: UnitSource,
    options: { signal: AbortSignal },
  ): Promise<StoredBlock> {
    const { units, sizeBytes, hash } = await collect(block, source, options.signal)
    this.needOpen()
    const found = this.blocks.get(formatId(block))
    if (found === undefined || this.damaged.has(formatId(block))) {
      this.damaged.delete(formatId(block))
      const storedAtMs = Math.floor(this.clock.wallMicros() / 1000)
      const entry = copyOf({ block, sizeBytes, hash, storedAtMs, owner })
      this.blocks.set(formatId(block), { entry: { ...entry, owner: entry.owner ?? owner }, units })
    } else if (!sameBytes(found.entry.hash, hash)) {
      throw new CairnError('BlockConflict', `block ${formatId(block)} is stored with other content`)
    }
    return { sizeBytes, hash }
  }

  async get(
    block: BlockId,
    range: { offset: number; length: number },
    options: { signal: AbortSignal },
  ): Promise<OpenBlock> {
    this.needOpen()
    needGoing(options.signal)
    const found = this.blocks.get(formatId(block))
    if (found === undefined) throw new CairnError('NoSuchBlock', `no block ${formatId(block)}`)
    const { sizeBytes, hash } = found.entry
    if (range.offset + range.length > sizeBytes) {
      throw new CairnError('InvalidArgument', `block ${formatId(block)} has only ${sizeBytes} bytes`)
    }
    const firstUnit = Math.floor(range.offset / UNIT_BYTES)
    const endUnit = range.length === 0 ? firstUnit : Math.ceil((range.offset + range.length) / UNIT_BYTES)
    const units = verified(block, found.units.slice(firstUnit, endUnit), {
      firstUnit,
      signal: options.signal,
      onDamage: () => this.mark(block, false),
    })
    return { sizeBytes, hash, firstUnit, units }
  }

  async delete(blocks: readonly BlockId[]): Promise<{ deleted: number; freedBytes: number }> {
    this.needOpen()
    let deleted = 0
    let freedBytes = 0
    for (const block of blocks) {
      const found = this.blocks.get(formatId(block))
      if (found === undefined) continue
      this.blocks.delete(formatId(block))
      this.damaged.delete(formatId(block))
      deleted++
      freedBytes += found.entry.sizeBytes
    }
    return { deleted, freedBytes }
  }

  async list(
    after: BlockId | undefined,
    limit: number,
    withOwner: boolean,
    filter: ListFilter = {},
  ): Promise<BlockPage> {
    this.needOpen()
    const from = after === undefined ? '' : formatId(after)
    const names = [...this.blocks.keys()].filter((name) => name > from && this.isWanted(name, filter)).sort()
    const blocks = names.slice(0, limit).flatMap((name) => this.entryOf(name, withOwner))
    return { blocks, complete: names.length <= limit }
  }

  async find(blocks: readonly BlockId[]): Promise<BlockEntry[]> {
    this.needOpen()
    return blocks.flatMap((block) => this.entryOf(formatId(block), true))
  }

  async verify(blocks: readonly BlockId[], { signal }: { signal: AbortSignal }): Promise<VerifiedBlocks> {
    const damaged: BlockId[] = []
    let readBytes = 0
    for (const block of blocks) {
      this.needOpen()
      needGoing(signal)
      const found = this.blocks.get(formatId(block))
      if (found === undefined) continue
      readBytes += found.entry.sizeBytes
      if (!this.mark(block, isRight(block, found))) damaged.push(block)
    }
    return { damaged, readBytes }
  }

  async writers(
    after: SessionId | undefined,
    limit: number,
  ): Promise<{ sessions: SessionId[]; complete: boolean }> {
    this.needOpen()
    const from = after === undefined ? '' : formatId(after)
    const sessions = new Map<string, SessionId>()
    for (const { entry } of this.blocks.values()) {
      const session = sessionOf(entry.block)
      if (formatId(session) > from) sessions.set(formatId(session), session)
    }
    const sorted = [...sessions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, session]) => session)
    return { sessions: sorted.slice(0, limit), complete: sorted.length <= limit }
  }

  usage(): StoreUsage {
    let liveBytes = 0
    for (const { entry } of this.blocks.values()) liveBytes += entry.sizeBytes
    return { liveBytes, deadBytes: 0, blockCount: this.blocks.size, damagedBlocks: this.damaged.size }
  }

  async close(): Promise<void> {
    this.closed = true
  }

  private entryOf(name: string, withOwner: boolean): BlockEntry[] {
    const found = this.blocks.get(name)
    if (found === undefined) return []
    const { owner, ...entry } = found.entry
    const damaged = this.damaged.has(name) ? { damaged: true } : {}
    return [{ ...entry, ...damaged, ...(withOwner ? { owner } : {}) }]
  }

  private isWanted(name: string, { groups, damagedOnly = false }: ListFilter): boolean {
    if (damagedOnly && !this.damaged.has(name)) return false
    const found = this.blocks.get(name)
    if (groups === undefined || found === undefined) return true
    const group = groupOf(found.entry.block)
    return ((groups[group >> 3] ?? 0) & (1 << (group & 7))) !== 0
  }

  private mark(block: BlockId, isRight: boolean): boolean {
    if (isRight) this.damaged.delete(formatId(block))
    else this.damaged.add(formatId(block))
    return isRight
  }

  private needOpen(): void {
    if (this.closed) throw new CairnError('ShuttingDown', 'the block store is closed')
  }
}

/** A copy that shares no bytes with what it was made of. */
function copyOf(entry: BlockEntry): BlockEntry {
  return BlockEntry.decode(BlockEntry.encode(entry))
}

interface Collected extends StoredBlock {
  readonly units: Unit[]
}

/** Takes a whole block in, checking every unit. */
async function collect(block: BlockId, source: UnitSource, signal: AbortSignal): Promise<Collected> {
  const units: Unit[] = []
  const hasher = createBlockHasher()
  let sizeBytes = 0
  for await (const unit of source) {
    needGoing(signal)
    checkShape(sizeBytes, unit.bytes.length)
    checkUnit(block, units.length, unit)
    units.push({ bytes: Buffer.from(unit.bytes), check: unit.check })
    hasher.update(unit.bytes)
    sizeBytes += unit.bytes.length
  }
  needGoing(signal)
  return { units, sizeBytes, hash: hasher.digest() }
}

function checkShape(before: number, unitBytes: number): void {
  const afterShortOne = before % UNIT_BYTES !== 0
  if (afterShortOne || unitBytes === 0 || unitBytes > UNIT_BYTES || before + unitBytes > BLOCK_BYTES_MAX) {
    throw new CairnError('InvalidArgument', `a unit of ${unitBytes} bytes does not fit after ${before}`)
  }
}

function checkUnit(block: BlockId, index: number, unit: Unit): void {
  if (unitCheck(block, index, unit.bytes) === unit.check) return
  throw new CairnError('BlockCorrupt', `unit ${index} of block ${formatId(block)} does not match its check`)
}

async function* verified(
  block: BlockId,
  units: readonly Unit[],
  options: { firstUnit: number; signal: AbortSignal; onDamage: () => void },
): AsyncGenerator<Unit> {
  for (const [place, unit] of units.entries()) {
    needGoing(options.signal)
    try {
      checkUnit(block, options.firstUnit + place, unit)
    } catch (error) {
      options.onDamage()
      throw error
    }
    yield unit
  }
}

function isRight(block: BlockId, { entry, units }: MemoryBlock): boolean {
  const hasher = createBlockHasher()
  for (const [index, { bytes, check }] of units.entries()) {
    if (unitCheck(block, index, bytes) !== check) return false
    hasher.update(bytes)
  }
  return sameBytes(hasher.digest(), entry.hash)
}

function needGoing(signal: AbortSignal): void {
  if (signal.aborted) throw new CairnError('Cancelled', 'the call was cancelled', { cause: signal.reason })
}
