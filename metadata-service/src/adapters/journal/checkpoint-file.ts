/**
 * A checkpoint: all rows of a store in one file, and the frames of what changed while they were read. Also the
 * format of a backup.
 *
 * ```
 * file header (16), then sections: length (u32) | CRC32C of kind and content (u32) | kind (u8) | content
 * head  1  JSON {lineage, clusterId, after, wallMicros}: rows were read after this number
 * rows  2  rows one after the other: key length (u16) | value length (u32) | key | value
 * frame 3  one frame as in a journal
 * end   4  JSON {number, rows, frames, wallMicros}, then BLAKE3 of all bytes before this section (32)
 * ```
 * The rows need not be of one moment. Whoever loads the file puts all rows first, then runs all frames in order:
 * a row that nobody touched meanwhile is right as it was read, and of any other the last frame decides. The result
 * is the store at `number`. A file without a right end, or of other content than its hash says, counts as absent.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { type BlockHasher, CairnError, crc32c, createBlockHasher, sameBytes } from '@cairn/protocol'
import type { StoreKey, StoreRow } from '../../ports.js'
import { checkFileHeader, encodeFileHeader, FILE_HEADER_BYTES } from './journal-files.js'
import { ROWS_BYTES_MAX, SECTION_BYTES_MAX } from './journal-limits.js'
import { readAt } from './journal-scan.js'

const SECTION_BYTES = 9
const HASH_BYTES = 32
const HEAD = 1
const ROWS = 2
const FRAME = 3
const END = 4

/** What a checkpoint says of itself at its start. */
export interface CheckpointHead {
  readonly lineage: string
  readonly clusterId: string
  /** Number of the last frame before the first row was read. */
  readonly after: number
  readonly wallMicros: number
}

/** And at its end. */
export interface CheckpointEnd {
  /** The store at this number is what the file holds. */
  readonly number: number
  readonly rows: number
  readonly frames: number
  readonly wallMicros: number
}

/** A checkpoint that was read whole and found right. */
export interface CheckpointFacts extends CheckpointHead, CheckpointEnd {
  readonly path: string
  readonly fileBytes: number
}

type Row = Pick<StoreRow, 'key' | 'value'>

/** Makes the bytes of a checkpoint, for any number of files. */
export class CheckpointEncoder {
  private readonly hasher: BlockHasher = createBlockHasher()
  private rows = 0
  private frames = 0
  private sizeBytes = 0

  get bytes(): number {
    return this.sizeBytes
  }

  start(head: CheckpointHead): Buffer {
    const content = Buffer.from(JSON.stringify(head))
    return this.note(Buffer.concat([encodeFileHeader('checkpoint'), section(HEAD, content)]))
  }

  /** As many sections as the rows take. */
  page(rows: readonly Row[]): Buffer {
    this.rows += rows.length
    return this.note(Buffer.concat(splitRows(rows).map((some) => section(ROWS, encodeRows(some)))))
  }

  frame(frame: Buffer): Buffer {
    this.frames++
    return this.note(section(FRAME, frame))
  }

  end(number: number, wallMicros: number): Buffer {
    const { rows, frames } = this
    const end = Buffer.from(JSON.stringify({ number, rows, frames, wallMicros }))
    const bytes = section(END, Buffer.concat([end, this.hasher.digest()]))
    this.sizeBytes += bytes.length
    return bytes
  }

  private note(bytes: Buffer): Buffer {
    this.hasher.update(bytes)
    this.sizeBytes += bytes.length
    return bytes
  }
}

function section(kind: number, content: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(SECTION_BYTES + content.length)
  bytes.writeUInt32LE(content.length, 0)
  bytes[8] = kind
  bytes.set(content, SECTION_BYTES)
  bytes.writeUInt32LE(crc32c(bytes.subarray(8)), 4)
  return bytes
}

function rowBytes({ key, value }: Row): number {
  return 6 + key.length + value.length
}

/** Runs of rows of at most ROWS_BYTES_MAX, or of one row. */
function splitRows(rows: readonly Row[]): (readonly Row[])[] {
  let run: Row[] = []
  const runs = [run]
  let bytes = 0
  for (const row of rows) {
    if (run.length > 0 && bytes + rowBytes(row) > ROWS_BYTES_MAX) {
      run = []
      runs.push(run)
      bytes = 0
    }
    run.push(row)
    bytes += rowBytes(row)
  }
  return runs
}

function encodeRows(rows: readonly Row[]): Buffer {
  const bytes = Buffer.allocUnsafe(rows.reduce((size, row) => size + rowBytes(row), 0))
  let at = 0
  for (const { key, value } of rows) {
    bytes.writeUInt16LE(key.length, at)
    bytes.writeUInt32LE(value.length, at + 2)
    bytes.set(key, at + 6)
    bytes.set(value, at + 6 + key.length)
    at += 6 + key.length + value.length
  }
  return bytes
}

/** Receives what a checkpoint holds. Bytes are views that stay valid. */
export interface CheckpointVisitor {
  row?(key: StoreKey, value: Uint8Array): void
  frame?(frame: Buffer): void
  /** Bytes read so far, after each section. */
  progress?(bytes: number): void | Promise<void>
}

/**
 * Reads a checkpoint to its end and checks every byte; `undefined` if it is damaged or unfinished. The visitor has
 * seen what came before the damage: whoever must not act on it reads twice. `FormatTooNew` of a newer file.
 */
export async function readCheckpoint(
  path: string,
  visitor: CheckpointVisitor = {},
): Promise<CheckpointFacts | undefined> {
  const handle = await open(path, 'r')
  try {
    return await new CheckpointReader(handle, path, visitor).run()
  } finally {
    await handle.close()
  }
}

class CheckpointReader {
  private readonly handle: FileHandle
  private readonly path: string
  private readonly visitor: CheckpointVisitor
  private readonly hasher = createBlockHasher()
  private head: CheckpointHead | undefined
  private rows = 0
  private frames = 0

  constructor(handle: FileHandle, path: string, visitor: CheckpointVisitor) {
    this.handle = handle
    this.path = path
    this.visitor = visitor
  }

  async run(): Promise<CheckpointFacts | undefined> {
    const fileBytes = (await this.handle.stat()).size
    const fileHeader = await readAt(this.handle, 0, FILE_HEADER_BYTES)
    if (!checkFileHeader(fileHeader, 'checkpoint', this.path)) return undefined
    this.hasher.update(fileHeader)
    let offset = FILE_HEADER_BYTES
    while (offset < fileBytes) {
      const bytes = await this.readSection(offset, fileBytes)
      if (bytes === undefined) return undefined
      offset += bytes.length
      if (bytes[8] === END) return offset === fileBytes ? this.finish(bytes, fileBytes) : undefined
      this.hasher.update(bytes)
      this.take(bytes[8] ?? 0, bytes.subarray(SECTION_BYTES))
      await this.visitor.progress?.(offset)
    }
    return undefined
  }

  private async readSection(offset: number, fileBytes: number): Promise<Buffer | undefined> {
    const start = await readAt(this.handle, offset, SECTION_BYTES)
    if (start.length < SECTION_BYTES) return undefined
    const length = SECTION_BYTES + start.readUInt32LE(0)
    if (length > SECTION_BYTES_MAX + SECTION_BYTES || offset + length > fileBytes) return undefined
    const bytes = await readAt(this.handle, offset, length)
    return crc32c(bytes.subarray(8)) === bytes.readUInt32LE(4) ? bytes : undefined
  }

  private take(kind: number, content: Buffer): void {
    if (kind === HEAD) this.head = parseJson<CheckpointHead>(content)
    else if (kind === ROWS) this.takeRows(content)
    else if (kind === FRAME) {
      this.frames++
      this.visitor.frame?.(content)
    } else {
      throw new CairnError(
        'FormatTooNew',
        `${this.path} holds sections of kind ${kind}, unknown to this version`,
      )
    }
  }

  private takeRows(content: Buffer): void {
    let at = 0
    while (at < content.length) {
      const keyEnd = at + 6 + content.readUInt16LE(at)
      const end = keyEnd + content.readUInt32LE(at + 2)
      this.visitor.row?.(content.subarray(at + 6, keyEnd), content.subarray(keyEnd, end))
      this.rows++
      at = end
    }
  }

  private finish(bytes: Buffer, fileBytes: number): CheckpointFacts | undefined {
    const split = bytes.length - HASH_BYTES
    const end = parseJson<CheckpointEnd>(bytes.subarray(SECTION_BYTES, split))
    const isWhole =
      this.head !== undefined &&
      end.rows === this.rows &&
      end.frames === this.frames &&
      sameBytes(this.hasher.digest(), bytes.subarray(split))
    return isWhole && this.head !== undefined
      ? { ...this.head, ...end, path: this.path, fileBytes }
      : undefined
  }
}

/** Content whose check was right: what does not parse was never written by us. */
function parseJson<T>(content: Buffer): T {
  return JSON.parse(content.toString('utf8')) as T
}
