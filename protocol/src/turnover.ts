/**
 * Collections for what comes and goes with each request. A `Map` or `Set` of V8 that is full of deleted entries is
 * copied into a new table, and the old one keeps its entries and points to the new. Once a full collection has moved
 * one table to the old generation, each that follows survives with all that was ever in it, until the next full
 * collection: with a table for every 64 requests, every request.
 */

/** Something that stands in at most one roster. */
export interface Rostered {
  /** The roster's own: where it stands. -1 outside of any. */
  place: number
}

/** A set of entries, in no order, that holds nothing of those that have left. */
export class Roster<Entry extends Rostered> implements Iterable<Entry> {
  private readonly entries: Entry[] = []

  get size(): number {
    return this.entries.length
  }

  /** Once only; it must be in no other roster. */
  add(entry: Entry): void {
    entry.place = this.entries.push(entry) - 1
  }

  /** Nothing happens to an entry that is not in. */
  delete(entry: Entry): void {
    const { place } = entry
    if (this.entries[place] !== entry) return
    const last = this.entries.pop()
    if (last !== undefined && last !== entry) {
      this.entries[place] = last
      last.place = place
    }
    entry.place = -1
  }

  /** Those that are in now, as an array that stays as it is: walking through it costs less than an iterator. */
  list(): readonly Entry[] {
    return [...this.entries]
  }

  /** Those that are in now, but for those that leave before their turn has come. */
  *[Symbol.iterator](): Iterator<Entry> {
    for (const entry of this.list()) if (entry.place >= 0) yield entry
  }
}

interface Box<Value> {
  value: Value | undefined
}

/** The part of `Map` that is needed here. Of entries that were deleted only their keys may linger. */
export class TurnoverMap<Key, Value extends object> {
  private readonly boxes = new Map<Key, Box<Value>>()

  get size(): number {
    return this.boxes.size
  }

  has(key: Key): boolean {
    return this.boxes.has(key)
  }

  get(key: Key): Value | undefined {
    return this.boxes.get(key)?.value
  }

  set(key: Key, value: Value): void {
    const box = this.boxes.get(key)
    if (box === undefined) this.boxes.set(key, { value })
    else box.value = value
  }

  delete(key: Key): void {
    const box = this.boxes.get(key)
    if (box === undefined) return
    box.value = undefined
    this.boxes.delete(key)
  }

  /** In the order of `Map`; entries that are deleted before their turn are left out. */
  *values(): IterableIterator<Value> {
    for (const { value } of this.boxes.values()) if (value !== undefined) yield value
  }
}

/**
 * A map that gives up its oldest entries. A new iterator of V8 walks past all that was deleted at the front since the
 * last new table, up to half of the entries; this one goes on where it was.
 */
export class AgingMap<Key, Value> {
  private readonly entries = new Map<Key, Value>()
  private ages = this.entries.entries()

  get size(): number {
    return this.entries.size
  }

  get(key: Key): Value | undefined {
    return this.entries.get(key)
  }

  /** The entry is the youngest now, also if it was there before. */
  set(key: Key, value: Value): void {
    this.entries.delete(key)
    this.entries.set(key, value)
  }

  /** True if it was there. */
  delete(key: Key): boolean {
    return this.entries.delete(key)
  }

  /** Removes the entry that was set before all others. */
  takeOldest(): Value | undefined {
    let step = this.ages.next()
    if (step.done) {
      // An iterator that has come to the end once stays there.
      this.ages = this.entries.entries()
      step = this.ages.next()
    }
    if (step.done) return undefined
    const [key, value] = step.value
    this.entries.delete(key)
    return value
  }
}
