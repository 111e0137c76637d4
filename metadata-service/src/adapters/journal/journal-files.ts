/**
 * The copies of the metadata on one drive: `<drive folder>/metadata/` with
 *
 *   journal-<number>.log    frames, the first of this number (see `journal-frame.ts`), behind a file header
 *   checkpoint-<number>     all rows as of this number (see `checkpoint-file.ts`)
 *   clean.json              the last number of a store that was closed in order; gone while it is open
 *   unfollowed.json         the last number of a store that then went on without journals: copies up to it are the past
 *
 * The file header: magic (8), format (u32), CRC32C of these twelve bytes.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CairnError, crc32c, encodeCheckedJson, isCheckGood } from '@cairn/protocol'

export const FILE_HEADER_BYTES = 16
const JOURNAL_MAGIC = 'CAIRNJNL'
const CHECKPOINT_MAGIC = 'CAIRNCKP'
const FORMAT = 1
const DIGITS = 16
const CLEAN_FILE = 'clean.json'
const UNFOLLOWED_FILE = 'unfollowed.json'

/** Kinds of files with a header. */
export type CopyKind = 'journal' | 'checkpoint'

/** A file by the number in its name. */
export interface NumberedFile {
  readonly path: string
  readonly number: number
}

/** A place in the life of a store. */
export interface StorePlace {
  readonly number: number
  readonly lineage: string
}

/** What lies in a drive's folder of copies; each list by falling number. */
export interface CopyFiles {
  readonly journals: readonly NumberedFile[]
  readonly checkpoints: readonly NumberedFile[]
}

/** Where a drive keeps its copies. */
export function copiesFolder(driveFolder: string): string {
  return join(driveFolder, 'metadata')
}

export function journalPath(folder: string, number: number): string {
  return join(folder, `journal-${digits(number)}.log`)
}

export function checkpointPath(folder: string, number: number): string {
  return join(folder, `checkpoint-${digits(number)}`)
}

function digits(number: number): string {
  return String(number).padStart(DIGITS, '0')
}

/** The copies in a folder; none if there is no such folder. Other errors are passed on. */
export async function listCopies(folder: string): Promise<CopyFiles> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isAbsent(error)) return []
    throw error
  })
  const pick = (pattern: RegExp): NumberedFile[] =>
    names
      .map((name) => ({ path: join(folder, name), match: pattern.exec(name) }))
      .flatMap(({ path, match }) => (match === null ? [] : [{ path, number: Number(match[1]) }]))
      .sort((a, b) => b.number - a.number)
  return { journals: pick(/^journal-(\d{16})\.log$/), checkpoints: pick(/^checkpoint-(\d{16})$/) }
}

/** The first bytes of a file of this kind. */
export function encodeFileHeader(kind: CopyKind): Buffer {
  const header = Buffer.alloc(FILE_HEADER_BYTES)
  header.write(kind === 'journal' ? JOURNAL_MAGIC : CHECKPOINT_MAGIC, 'latin1')
  header.writeUInt32LE(FORMAT, 8)
  header.writeUInt32LE(crc32c(header.subarray(0, 12)), 12)
  return header
}

/** Whether the header is right; `FormatTooNew` with the file's name if a newer version wrote it. */
export function checkFileHeader(header: Buffer, kind: CopyKind, path: string): boolean {
  const magic = kind === 'journal' ? JOURNAL_MAGIC : CHECKPOINT_MAGIC
  if (header.length < FILE_HEADER_BYTES || header.toString('latin1', 0, 8) !== magic) return false
  if (crc32c(header.subarray(0, 12)) !== header.readUInt32LE(12)) return false
  const format = header.readUInt32LE(8)
  if (format <= FORMAT) return true
  throw new CairnError('FormatTooNew', `${path} has format ${format}; this version knows ${FORMAT}`)
}

/** Makes a folder and syncs its parent. */
export async function makeFolder(folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) await syncFolder(dirname(folder))
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** What `clean.json` says; `undefined` if it is not there or damaged. `FormatTooNew` of a newer one. */
export function readClean(folder: string): Promise<StorePlace | undefined> {
  return readPlace(join(folder, CLEAN_FILE))
}

/** What `unfollowed.json` says, as `readClean`. */
export function readUnfollowed(folder: string): Promise<StorePlace | undefined> {
  return readPlace(join(folder, UNFOLLOWED_FILE))
}

async function readPlace(path: string): Promise<StorePlace | undefined> {
  let content: Record<string, unknown>
  try {
    content = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
  } catch (error) {
    if (isAbsent(error) || error instanceof SyntaxError) return undefined
    throw error
  }
  if (typeof content !== 'object' || content === null || !isCheckGood(content)) return undefined
  const { format, number, lineage } = content
  if (typeof format === 'number' && format > FORMAT) {
    throw new CairnError('FormatTooNew', `${path} has format ${format}; this version knows ${FORMAT}`)
  }
  return typeof number === 'number' && typeof lineage === 'string' ? { number, lineage } : undefined
}

/** Says durably that the store was closed at this number. */
export function writeClean(folder: string, at: StorePlace): Promise<void> {
  return writePlace(folder, CLEAN_FILE, at)
}

/** Says durably that the store goes on from this number without journals. */
export function writeUnfollowed(folder: string, at: StorePlace): Promise<void> {
  return writePlace(folder, UNFOLLOWED_FILE, at)
}

async function writePlace(folder: string, name: string, at: StorePlace): Promise<void> {
  const path = join(folder, name)
  const temporary = `${path}.new`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(encodeCheckedJson({ format: FORMAT, ...at }))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, path)
  await syncFolder(folder)
}

/** Takes it back, durably, before anything is written. */
export async function removeClean(folder: string): Promise<void> {
  await rm(join(folder, CLEAN_FILE), { force: true })
  await syncFolder(folder)
}

/** Only these mean that something is not there. */
export function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}
