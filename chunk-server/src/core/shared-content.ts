/**
 * One content for several drives. A writer inside this process hands the same memory to each of its replicas:
 * verifying and hashing it for the first drive tells what the others would find. Whatever is told apart by its
 * memory, by its place in the block or by its check is verified by itself.
 *
 * ● A drive stores a unit only if its check was computed from that memory by this process, and a hash only of
 * units that were checked so. Bytes that came over a connection lie in memory of their own: they share nothing.
 * Writers must not change bytes before the puts they gave them to have ended (see `UnitSource`).
 */
import {
  type BlockHasher,
  type BlockId,
  CairnError,
  createBlockHasher,
  formatId,
  type Unit,
} from '@cairn/protocol'

/** Where a unit that was verified lies. Weak: what nobody holds any more is not kept for the sake of comparing. */
interface Place {
  readonly memory: WeakRef<ArrayBufferLike>
  readonly offset: number
  readonly sizeBytes: number
  readonly check: number
}

/** Verified units of one block, hashed in their order, for all drives of this process that store it now. */
class SharedContent {
  readonly key: string
  users = 0
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

  holds(index: number, { bytes, check }: Unit): boolean {
    const place = this.places[index]
    return (
      place !== undefined &&
      place.memory.deref() === bytes.buffer &&
      place.offset === bytes.byteOffset &&
      place.sizeBytes === bytes.length &&
      place.check === check
    )
  }

  add({ bytes, check }: Unit): void {
    if (this.lastMemory?.deref() !== bytes.buffer) this.lastMemory = new WeakRef(bytes.buffer)
    const memory = this.lastMemory ?? new WeakRef(bytes.buffer)
    this.places.push({ memory, offset: bytes.byteOffset, sizeBytes: bytes.length, check })
    this.hasher.update(bytes)
  }

  hash(): Uint8Array {
    this.digest ??= this.hasher.digest()
    return this.digest
  }

  get isFinal(): boolean {
    return this.digest !== undefined
  }
}

/** Contents being stored by at least one drive of this process, by block. */
const contents = new Map<string, SharedContent>()

/** What one drive takes of a content, unit after unit. */
export class ContentShare {
  private readonly content: SharedContent
  private taken = 0

  private constructor(content: SharedContent, first: readonly Unit[]) {
    this.content = content
    content.users++
    for (const unit of first) this.take(unit)
  }

  /** Joins the drives that store the same memory as this block, or begins a content. `first` was verified. */
  static join(block: BlockId, first: readonly Unit[]): ContentShare {
    const key = formatId(block)
    const known = contents.get(key)
    if (known !== undefined && canJoin(known, first)) return new ContentShare(known, first)
    const content = new SharedContent(key)
    if (known === undefined) contents.set(key, content)
    return new ContentShare(content, first)
  }

  /** The next unit is one that was verified for another drive. */
  isVerified(unit: Unit): boolean {
    return this.content.holds(this.taken, unit)
  }

  /** Takes the next unit, which is verified. */
  take(unit: Unit): void {
    const { content } = this
    if (this.taken === content.unitCount && !content.isFinal) content.add(unit)
    else if (!content.holds(this.taken, unit)) {
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
    const { content } = this
    content.users--
    if (content.users === 0 && contents.get(content.key) === content) contents.delete(content.key)
  }
}

function canJoin(content: SharedContent, first: readonly Unit[]): boolean {
  const common = Math.min(first.length, content.unitCount)
  return common > 0 && first.slice(0, common).every((unit, index) => content.holds(index, unit))
}
