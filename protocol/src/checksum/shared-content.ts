/**
 * One content at several places of a process. A writer hands the same memory to each of its replicas, and hashes it
 * itself: the drives need not do it again. Whatever is told apart by its memory, by its place in the block or by its
 * check is hashed by itself.
 *
 * ● A drive stores a hash only if this process has computed it from that memory. Bytes that came over a connection lie
 * in memory of their own: they share nothing. Writers must not change bytes before the puts they gave them to have
 * ended (see `UnitSource`); what a broken one changes in between is found by the next reader, like any damage after the
 * check.
 */
import { CairnError } from '../errors.js'
import { type BlockId, formatId } from '../ids.js'
import { UNIT_BYTES } from '../limits.js'
import type { Unit } from '../rpc/types.js'
import { type BlockHasher, createBlockHasher } from './block-hash.js'

/** Where a unit lies. */
interface Place {
  /** Weak: what nobody holds any more is not kept for the sake of comparing. */
  readonly memory: WeakRef<ArrayBufferLike>
  /** The memory of a short unit, the last of its block: it must outlive its copies, which are compared with it. */
  readonly held: ArrayBufferLike | undefined
  readonly offset: number
  readonly sizeBytes: number
  readonly check: number
}

/** Units of one block, hashed in their order. */
class SharedContent {
  readonly key: string
  users = 0
  /** Drives that have joined. */
  shares = 0
  /** Its writer keeps it for those who read it soon. */
  isKept = false
  private readonly places: Place[] = []
  private readonly hasher: BlockHasher = createBlockHasher()
  private digest: Uint8Array | undefined
  private lastMemory: WeakRef<ArrayBufferLike> | undefined

  constructor(key: string) {
    this.key = key
  }

  get unitCount(): number {
    return this.places.length
  }

  get isFinal(): boolean {
    return this.digest !== undefined
  }

  /** Whether the unit is this very memory. */
  has(index: number, { bytes, check }: Unit): boolean {
    const place = this.places[index]
    if (place === undefined || place.memory.deref() !== bytes.buffer) return false
    return place.offset === bytes.byteOffset && place.sizeBytes === bytes.length && place.check === check
  }

  /** The same, or whether its bytes are equal: short units are copied on their way. */
  hasEqual(index: number, unit: Unit): boolean {
    if (this.has(index, unit)) return true
    const place = this.places[index]
    const memory = place?.memory.deref()
    if (place === undefined || memory === undefined || place.check !== unit.check) return false
    return Buffer.from(memory as ArrayBuffer, place.offset, place.sizeBytes).equals(unit.bytes)
  }

  add({ bytes, check }: Unit): void {
    if (this.lastMemory?.deref() !== bytes.buffer) this.lastMemory = new WeakRef(bytes.buffer)
    const memory = this.lastMemory ?? new WeakRef(bytes.buffer)
    const held = bytes.length < UNIT_BYTES ? bytes.buffer : undefined
    this.places.push({ memory, held, offset: bytes.byteOffset, sizeBytes: bytes.length, check })
    this.hasher.update(bytes)
  }

  hash(): Uint8Array {
    this.digest ??= this.hasher.digest()
    return this.digest
  }
}

/** Contents that are being written or stored, by block. */
const contents = new Map<string, SharedContent>()

function leave(content: SharedContent): void {
  content.users--
  if (content.users === 0 && contents.get(content.key) === content) contents.delete(content.key)
}

/** What the writer of a block knows of it. */
export class ContentSource {
  private readonly content: SharedContent

  /** `isKept`: the writer keeps the content for those who read it soon, so that no drive need do that. */
  constructor(block: BlockId, { isKept = false }: { readonly isKept?: boolean } = {}) {
    this.content = new SharedContent(formatId(block))
    this.content.isKept = isKept
    this.content.users++
    contents.set(this.content.key, this.content)
  }

  /** Hashes the next unit. To be called before any replica is given it. */
  add(unit: Unit): void {
    this.content.add(unit)
  }

  /** BLAKE3-256 of all units; no more may follow. */
  hash(): Uint8Array {
    return this.content.hash()
  }

  /** To be called once, when the writer is done with the block. */
  leave(): void {
    leave(this.content)
  }
}

/** What one drive takes of a content, unit after unit. */
export class ContentShare {
  /** Drives of this process that took the content before this one. */
  readonly rank: number
  private readonly content: SharedContent
  private taken = 0

  private constructor(content: SharedContent, first: readonly Unit[]) {
    this.content = content
    this.rank = content.shares++
    content.users++
    for (const unit of first) this.take(unit)
  }

  /** Joins those who have the block in the same memory, or begins a content. `first` was verified. */
  static join(block: BlockId, first: readonly Unit[]): ContentShare {
    const key = formatId(block)
    const known = contents.get(key)
    if (known !== undefined && canJoin(known, first)) return new ContentShare(known, first)
    const content = new SharedContent(key)
    if (known === undefined) contents.set(key, content)
    return new ContentShare(content, first)
  }

  /** The writer keeps the content in memory. */
  get isKept(): boolean {
    return this.content.isKept
  }

  /** Takes the next unit, which is verified. */
  take(unit: Unit): void {
    const { content } = this
    if (this.taken === content.unitCount && !content.isFinal) content.add(unit)
    else if (!content.hasEqual(this.taken, unit)) {
      throw new CairnError('BlockConflict', 'the block is being stored with units of another writer')
    }
    this.taken++
  }

  /** BLAKE3-256 of the units taken; no more may follow. */
  hash(): Uint8Array {
    if (this.taken === this.content.unitCount) return this.content.hash()
    throw new CairnError('BlockConflict', 'the block is being stored with more units by another writer')
  }

  /** To be called once, when the drive is done with the block. */
  leave(): void {
    leave(this.content)
  }
}

function canJoin(content: SharedContent, first: readonly Unit[]): boolean {
  const common = Math.min(first.length, content.unitCount)
  return common > 0 && first.slice(0, common).every((unit, index) => content.has(index, unit))
}
