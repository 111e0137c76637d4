/**
 * What may lie on a disk after a power cut: the log of a process is replayed up to the cut, and of what was not
 * synced then, a random part survives.
 *
 * The model promises no more than POSIX does. A write is durable once a sync of its file that began after it has
 * ended; a name (made, given, renamed, removed) once such a sync of its folder has. All else survives by chance: writes in
 * sectors of 512 bytes or pages of 4 KiB, sizes and names each on their own; so an unsynced rename may survive
 * without the bytes, and the bytes of one write without those of the write before.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DiskRecord } from './disk-log.js'
import type { Seeded } from './seeded.js'

const SECTOR_BYTES = 512
const PAGE_BYTES = 4096

interface PendingWrite {
  readonly offset: number
  /** `undefined` for a change of the size to `offset`. */
  readonly data: Buffer | undefined
}

/** Bytes that grow in place. */
class Content {
  private bytes: Buffer
  private size: number

  constructor(from?: Content) {
    this.bytes = from === undefined ? Buffer.alloc(0) : Buffer.from(from.view())
    this.size = this.bytes.length
  }

  view(): Buffer {
    return this.bytes.subarray(0, this.size)
  }

  resize(size: number): void {
    if (size < this.size) this.bytes.fill(0, size, this.size)
    if (size > this.bytes.length) {
      const grown = Buffer.alloc(size * 2)
      this.view().copy(grown)
      this.bytes = grown
    }
    this.size = size
  }

  apply({ offset, data }: PendingWrite): void {
    if (data === undefined) {
      this.resize(offset)
      return
    }
    if (this.size < offset + data.length) this.resize(offset + data.length)
    data.copy(this.bytes, offset)
  }

  growTo(size: number): void {
    if (this.size < size) this.resize(size)
  }
}

/** A file whatever its name. */
class FileState {
  readonly durable: Content = new Content()
  pending: PendingWrite[] = []

  settle(count: number): void {
    for (const write of this.pending.splice(0, count)) this.durable.apply(write)
  }
}

type Entry = FileState | 'folder'

/** One change of the names of a folder. */
type NameChange = ReadonlyMap<string, Entry | undefined>

class FolderState {
  durable: Map<string, Entry> = new Map()
  pending: NameChange[] = []

  /** The names as the process sees them. */
  now(): Map<string, Entry> {
    const names = new Map(this.durable)
    for (const change of this.pending) applyNames(names, change)
    return names
  }

  settle(count: number): void {
    for (const change of this.pending.splice(0, count)) applyNames(this.durable, change)
  }
}

function applyNames(names: Map<string, Entry>, change: NameChange): void {
  for (const [name, entry] of change) {
    if (entry === undefined) names.delete(name)
    else names.set(name, entry)
  }
}

/** A folder and all below it, as a process changes it. Paths are absolute. */
export class DiskImage {
  private readonly root: string
  private readonly folders = new Map<string, FolderState>()
  private readonly open = new Map<number, FileState | FolderState>()
  /** Syncs under way, by number, and how many pending changes each will settle. */
  private readonly syncs = new Map<number, { readonly target: FileState | FolderState; count: number }>()

  constructor(root: string) {
    this.root = root
    this.folders.set(root, new FolderState())
  }

  /** Repeats one call. Those that failed changed nothing. */
  apply(record: DiskRecord): void {
    const { kind, descriptor } = record
    if (kind === 'begin') this.begun(record)
    if (record.error !== 0) return
    if (kind === 'open' || kind === 'truncated') this.opened(record)
    else if (kind === 'close') this.open.delete(descriptor)
    else if (kind === 'write')
      this.file(descriptor)?.pending.push({ offset: record.offset, data: record.data })
    else if (kind === 'truncate')
      this.file(descriptor)?.pending.push({ offset: record.offset, data: undefined })
    else if (kind === 'end') this.synced(record)
    else this.changeNames(record)
  }

  /** The process has ended: its descriptors are gone. */
  processEnded(): void {
    this.open.clear()
    this.syncs.clear()
  }

  /** Writes what a power cut leaves into an existing folder. */
  async write(target: string, seeded: Seeded): Promise<void> {
    await this.writeFolder(this.root, target, seeded)
  }

  private file(descriptor: number): FileState | undefined {
    const found = this.open.get(descriptor)
    return found instanceof FileState ? found : undefined
  }

  private folder(path: string): FolderState {
    const found = this.folders.get(path) ?? new FolderState()
    this.folders.set(path, found)
    return found
  }

  private opened({ path, descriptor, kind }: DiskRecord): void {
    const folder = this.folders.get(path)
    if (folder !== undefined) {
      this.open.set(descriptor, folder)
      return
    }
    const known = this.folder(dirname(path)).now().get(path)
    const file = known instanceof FileState ? known : new FileState()
    if (file !== known) this.named(path, file)
    else if (kind === 'truncated') file.pending.push({ offset: 0, data: undefined })
    this.open.set(descriptor, file)
  }

  private changeNames({ kind, path, other }: DiskRecord): void {
    if (kind === 'rename') this.renamed(path, other)
    else if (kind === 'link') this.named(other, this.folder(dirname(path)).now().get(path))
    else if (kind === 'unlink' || kind === 'rmdir') this.named(path, undefined)
    else if (kind === 'mkdir') this.made(path)
  }

  private named(path: string, entry: Entry | undefined): void {
    this.folder(dirname(path)).pending.push(new Map([[path, entry]]))
  }

  private made(path: string): void {
    this.folder(path)
    if (path !== this.root) this.named(path, 'folder')
  }

  /** Within one folder a rename survives whole or not at all; across two each half on its own. */
  private renamed(from: string, to: string): void {
    const entry = this.folder(dirname(from)).now().get(from)
    if (dirname(from) !== dirname(to)) {
      this.named(from, undefined)
      this.named(to, entry)
      return
    }
    const change: NameChange = new Map([
      [from, undefined],
      [to, entry],
    ])
    this.folder(dirname(to)).pending.push(change)
  }

  private begun({ descriptor, number }: DiskRecord): void {
    const target = this.open.get(descriptor)
    if (target !== undefined) this.syncs.set(number, { target, count: target.pending.length })
  }

  private synced({ number }: DiskRecord): void {
    const sync = this.syncs.get(number)
    if (sync === undefined) return
    this.syncs.delete(number)
    sync.target.settle(sync.count)
    // What this one has settled is not settled again by another that is under way.
    for (const other of this.syncs.values()) {
      if (other.target === sync.target) other.count = Math.max(0, other.count - sync.count)
    }
  }

  private async writeFolder(path: string, target: string, seeded: Seeded): Promise<void> {
    await mkdir(target, { recursive: true })
    const folder = this.folder(path)
    const names = new Map(folder.durable)
    const keeps = seeded.pick([0, 0.5, 0.9, 1])
    for (const change of folder.pending) if (seeded.fraction() < keeps) applyNames(names, change)
    for (const [name, entry] of names) {
      const place = join(target, name.slice(path.length + 1))
      if (entry === 'folder') await this.writeFolder(name, place, seeded)
      else await writeFile(place, survivor(entry, seeded), { mode: 0o600 })
    }
  }
}

/** The durable bytes and, by chance, parts of the writes since. */
function survivor(file: FileState, seeded: Seeded): Buffer {
  const content = new Content(file.durable)
  const keeps = seeded.pick([0, 0.3, 0.7, 1])
  const pieceBytes = seeded.pick([SECTOR_BYTES, PAGE_BYTES])
  for (const write of file.pending) {
    for (const piece of pieces(write, pieceBytes)) if (seeded.fraction() < keeps) content.apply(piece)
    // The size may survive without the bytes.
    if (seeded.fraction() < keeps / 2) content.growTo(write.offset + (write.data?.length ?? 0))
  }
  return content.view()
}

/** A write cut at the boundaries of sectors or pages; a change of the size is one piece. */
function pieces(write: PendingWrite, pieceBytes: number): PendingWrite[] {
  const { offset, data } = write
  if (data === undefined) return [write]
  const found: PendingWrite[] = []
  for (let at = offset; at < offset + data.length; ) {
    const end = Math.min(offset + data.length, at - (at % pieceBytes) + pieceBytes)
    found.push({ offset: at, data: data.subarray(at - offset, end - offset) })
    at = end
  }
  return found
}
