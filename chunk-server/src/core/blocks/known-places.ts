/**
 * Where the blocks lie that were looked up last, in front of the index on disk: a look into SQLite costs
 * 6 µs. Holds only what the index holds: whoever changes a block must `forget` it before the index changes.
 */
import type { IndexedBlock } from '../../ports.js'

/** Memory of one drive's places. */
const PLACES_BYTES_MAX = 8 * 1024 * 1024

/** Memory of one, estimated: the key and its place in the map, the entry, its id and its hash. */
const PLACE_BYTES = 400

const PLACES_PER_GENERATION = Math.floor(PLACES_BYTES_MAX / PLACE_BYTES / 2)

/** Rows of the index by `mapKey` of their block; see the head of this file. */
export class KnownPlaces {
  /** Entries move to `young` when they are used; once it is full, what was not used since is dropped. */
  private young = new Map<string, IndexedBlock>()
  private old = new Map<string, IndexedBlock>()

  find(key: string): IndexedBlock | undefined {
    const young = this.young.get(key)
    if (young !== undefined) return young
    const old = this.old.get(key)
    if (old !== undefined) this.keep(key, old)
    return old
  }

  /** The index has this row. Its bytes are copied: they may be views of something larger. */
  note(key: string, entry: IndexedBlock): void {
    this.keep(key, { ...entry, block: copyOf(entry.block), hash: copyOf(entry.hash) })
  }

  forget(key: string): void {
    this.young.delete(key)
    this.old.delete(key)
  }

  private keep(key: string, entry: IndexedBlock): void {
    this.young.set(key, entry)
    if (this.young.size < PLACES_PER_GENERATION) return
    this.old = this.young
    this.young = new Map()
  }
}

/** Outside the pool that small buffers share: one that is kept would keep all of them. */
function copyOf<T extends Uint8Array>(bytes: T): T {
  const copy = Buffer.alloc(bytes.length)
  copy.set(bytes)
  return copy as Uint8Array as T
}
