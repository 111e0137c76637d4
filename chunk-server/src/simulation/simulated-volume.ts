/**
 * What a simulated disk keeps: files, folder entries, and which of both are durable.
 *
 * Content and entries have two states each: the one that running code sees, and the one a power cut leaves for
 * certain. Between them lie unsynced operations in order. A file's sync makes its own writes durable, never its
 * entry; a folder's sync makes entries durable, never content. After a failed sync the writes it should have
 * covered stay readable but no later sync makes them durable, as on Linux (ATC'20, "Can applications recover from
 * fsync failures?").
 */
import type { Random } from '@cairn/protocol'
import { folderOfPath } from '../core/drives/disk-path.js'

/** What of the unsynced operations a power cut leaves. */
export type CrashChoice =
  /** Nothing that was not synced. */
  | { readonly kind: 'lost' }
  /** Everything that was handed over, synced or not. */
  | { readonly kind: 'kept' }
  /** A random part: whole entry changes, and pieces of writes aligned to `grainBytes`. */
  | { readonly kind: 'subset'; readonly random: Random; readonly grainBytes: 512 | 4096 }
  /** Everything, but of the last write only its first `keptBytes`. */
  | { readonly kind: 'torn'; readonly keptBytes: number }
  /** Everything but the operation of this number (see `SimulatedVolume.unsynced`). */
  | { readonly kind: 'without'; readonly operation: number }

/** Bytes that grow at the end; gaps are zeros. */
class GrowingBytes {
  private buffer: Buffer = Buffer.alloc(0)
  size = 0

  view(): Buffer {
    return this.buffer.subarray(0, this.size)
  }

  write(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length
    if (end > this.buffer.length) {
      const grown = Buffer.alloc(Math.max(end, this.buffer.length * 2))
      grown.set(this.view())
      this.buffer = grown
    }
    this.buffer.set(bytes, offset)
    this.size = Math.max(this.size, end)
  }

  copy(): GrowingBytes {
    const copied = new GrowingBytes()
    copied.write(this.view(), 0)
    return copied
  }
}

/** A write that no sync has covered yet. */
export interface UnsyncedWrite {
  readonly operation: number
  readonly offset: number
  readonly bytes: Uint8Array
  /** False while the caller still waits for it; a sync promises nothing for such a write. */
  completed: boolean
  /** A sync over it failed: no later sync makes it durable. */
  doomed: boolean
}

/** One file, whatever its name is at the moment. */
export class SimulatedFile {
  content: GrowingBytes = new GrowingBytes()
  durable: GrowingBytes = new GrowingBytes()
  unsynced: UnsyncedWrite[] = []
  syncFailed = false

  /** Applies what `covered` holds to the durable state and forgets it. */
  makeDurable(covered: ReadonlySet<UnsyncedWrite>): void {
    for (const write of this.unsynced) {
      if (covered.has(write) && !write.doomed) this.durable.write(write.bytes, write.offset)
    }
    this.unsynced = this.unsynced.filter((write) => write.doomed || !covered.has(write))
  }
}

/** A name leads to a file or is a folder. */
export type Entry = SimulatedFile | 'folder'
type Entries = Map<string, Entry>

/** A change of names that no folder sync has covered yet. */
interface EntryChange {
  readonly operation: number
  readonly folder: string
  readonly apply: (entries: Entries) => void
}

/** Files, names, and what of them is durable. */
export class SimulatedVolume {
  readonly entries: Entries = new Map()
  private durableEntries: Entries = new Map()
  private changes: EntryChange[] = []
  private operations = 0

  /** Bytes of all files that have a name or are open. */
  usedBytes(opened: Iterable<SimulatedFile>): number {
    let bytes = 0
    for (const file of new Set<Entry>([...this.entries.values(), ...opened])) {
      if (file !== 'folder') bytes += file.content.size
    }
    return bytes
  }

  beginWrite(file: SimulatedFile, bytes: Uint8Array, offset: number): UnsyncedWrite {
    const write = { operation: ++this.operations, offset, bytes, completed: false, doomed: false }
    file.unsynced.push(write)
    return write
  }

  add(path: string, entry: Entry): void {
    this.change(folderOfPath(path), (entries) => entries.set(path, entry))
  }

  /** Only the entry that is meant goes, so that a kept removal never hits a file whose renaming was lost. */
  remove(path: string, entry: Entry): void {
    this.change(folderOfPath(path), (entries) => {
      if (entries.get(path) === entry) entries.delete(path)
    })
  }

  rename(from: string, to: string, entry: Entry): void {
    if (folderOfPath(from) !== folderOfPath(to)) {
      this.add(to, entry)
      this.remove(from, entry)
      return
    }
    this.change(folderOfPath(to), (entries) => {
      if (entries.get(from) === entry) entries.delete(from)
      entries.set(to, entry)
    })
  }

  /** What a sync of `folder` submitted now will cover. */
  changesIn(folder: string): ReadonlySet<EntryChange> {
    return new Set(this.changes.filter((change) => change.folder === folder))
  }

  makeEntriesDurable(covered: ReadonlySet<EntryChange>): void {
    for (const change of this.changes) if (covered.has(change)) change.apply(this.durableEntries)
    this.changes = this.changes.filter((change) => !covered.has(change))
  }

  /** Numbers of all unsynced operations, in order. */
  unsynced(): number[] {
    const files = new Set<Entry>([...this.entries.values(), ...this.durableEntries.values()])
    const writes = [...files].flatMap((file) => (file === 'folder' ? [] : file.unsynced))
    return [...writes, ...this.changes].map((entry) => entry.operation).sort((a, b) => a - b)
  }

  /** The volume that a power cut at this moment leaves; this one stays as it is. */
  afterCrash(choice: CrashChoice): SimulatedVolume {
    const entries = new Map(this.durableEntries)
    for (const change of this.changes) if (keepsChange(choice, change)) change.apply(entries)
    const torn = choice.kind === 'torn' ? this.lastWrite() : undefined
    const copies = new Map<Entry, Entry>([['folder', 'folder']])
    const left = new SimulatedVolume()
    for (const [path, entry] of entries) {
      if (!hasFolder(entries, path)) continue
      const copy = copies.get(entry) ?? entryAfterCrash(entry, choice, torn)
      copies.set(entry, copy)
      left.entries.set(path, copy)
      left.durableEntries.set(path, copy)
    }
    return left
  }

  private change(folder: string, apply: (entries: Entries) => void): void {
    apply(this.entries)
    this.changes.push({ operation: ++this.operations, folder, apply })
  }

  private lastWrite(): UnsyncedWrite | undefined {
    let last: UnsyncedWrite | undefined
    for (const entry of this.entries.values()) {
      const write = entry === 'folder' ? undefined : entry.unsynced.at(-1)
      if (write !== undefined && write.operation > (last?.operation ?? 0)) last = write
    }
    return last
  }
}

function hasFolder(entries: Entries, path: string): boolean {
  const folder = folderOfPath(path)
  return folder === '' || (entries.get(folder) === 'folder' && hasFolder(entries, folder))
}

function keepsChange(choice: CrashChoice, change: EntryChange): boolean {
  if (choice.kind === 'lost') return false
  if (choice.kind === 'subset') return choice.random.fraction() < 0.5
  return choice.kind !== 'without' || choice.operation !== change.operation
}

function entryAfterCrash(file: Entry, choice: CrashChoice, torn?: UnsyncedWrite): Entry {
  if (file === 'folder') return file
  const left = new SimulatedFile()
  left.durable = file.durable.copy()
  for (const write of file.unsynced) {
    for (const [from, to] of keptPieces(write, choice, torn)) {
      left.durable.write(write.bytes.subarray(from, to), write.offset + from)
    }
  }
  left.content = left.durable.copy()
  return left
}

function keptPieces(write: UnsyncedWrite, choice: CrashChoice, torn?: UnsyncedWrite): [number, number][] {
  const whole: [number, number] = [0, write.bytes.length]
  if (choice.kind === 'lost') return []
  if (choice.kind === 'subset') return randomPieces(write, choice.random, choice.grainBytes)
  if (choice.kind === 'torn' && write === torn) return [[0, Math.min(choice.keptBytes, write.bytes.length)]]
  return choice.kind === 'without' && choice.operation === write.operation ? [] : [whole]
}

function randomPieces(write: UnsyncedWrite, random: Random, grainBytes: number): [number, number][] {
  const share = random.fraction()
  const pieces: [number, number][] = []
  let from = 0
  while (from < write.bytes.length) {
    const border = grainBytes - ((write.offset + from) % grainBytes)
    const to = Math.min(write.bytes.length, from + border)
    if (random.fraction() < share) pieces.push([from, to])
    from = to
  }
  return pieces
}
