/** Reads journals: every right frame of a file, whatever lies between them. */
import { type FileHandle, open } from 'node:fs/promises'
import { CairnError, hasCode } from '@cairn/protocol'
import { checkFileHeader, FILE_HEADER_BYTES } from './journal-files.js'
import {
  claimedFrameBytes,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  type FrameHeader,
  readFrameHeader,
} from './journal-frame.js'
import { FRAME_BYTES_MAX, READ_BYTES } from './journal-limits.js'

/** A frame and where it begins. */
export interface FoundFrame extends FrameHeader {
  readonly offset: number
}

/** What a search came upon. */
export interface ScanOutcome {
  readonly fileBytes: number
  /** Bytes that belong to no right frame: damage, or a frame that a crash cut off. */
  readonly strangeBytes: number
}

/**
 * Calls `visit` for each right frame from `from` on, in the order of the file. Where none starts, it goes on at the
 * next magic. `FormatTooNew`, with the file's name, of a newer file or frame.
 */
export async function scanJournal(
  path: string,
  visit: (frame: FoundFrame) => void,
  from = 0,
): Promise<ScanOutcome> {
  const handle = await open(path, 'r')
  try {
    const fileBytes = (await handle.stat()).size
    const header = await readAt(handle, 0, Math.min(FILE_HEADER_BYTES, fileBytes))
    const start = checkFileHeader(header, 'journal', path) ? FILE_HEADER_BYTES : 0
    const strangeBytes = await scanFrames(handle, { from: Math.max(from, start), to: fileBytes }, visit)
    return { fileBytes, strangeBytes }
  } catch (error) {
    if (!hasCode(error, 'FormatTooNew') || error.message.includes(path)) throw error
    throw new CairnError('FormatTooNew', `${path}: ${error.message}`, { cause: error })
  } finally {
    await handle.close()
  }
}

async function scanFrames(
  handle: FileHandle,
  range: { readonly from: number; readonly to: number },
  visit: (frame: FoundFrame) => void,
): Promise<number> {
  let { from: offset } = range
  let strangeBytes = 0
  let needBytes = READ_BYTES
  while (offset < range.to) {
    const window = await readAt(handle, offset, Math.min(needBytes, range.to - offset))
    const step = walk(window, { at: offset, isLast: offset + window.length >= range.to }, visit)
    offset += step.usedBytes
    strangeBytes += step.strangeBytes
    needBytes = Math.max(READ_BYTES, step.needBytes)
    if (step.usedBytes === 0 && step.needBytes <= window.length) break
  }
  return strangeBytes
}

interface WalkStep {
  readonly usedBytes: number
  readonly strangeBytes: number
  /** Bytes from the end of the used ones that the next window should have. */
  readonly needBytes: number
}

/** Walks one window. A frame that may go on behind its end is left to the next. */
function walk(
  window: Buffer,
  place: { readonly at: number; readonly isLast: boolean },
  visit: (frame: FoundFrame) => void,
): WalkStep {
  let at = 0
  let strangeBytes = 0
  while (at < window.length) {
    if (!place.isLast && at + FRAME_HEADER_BYTES > window.length) break
    const frame = readFrameHeader(window, at)
    if (frame !== undefined) {
      visit({ ...frame, offset: place.at + at })
      at += frame.sizeBytes
      continue
    }
    const claimed = claimedFrameBytes(window, at)
    if (!place.isLast && claimed !== undefined && at + claimed > window.length) {
      return { usedBytes: at, strangeBytes, needBytes: Math.min(claimed, FRAME_BYTES_MAX) }
    }
    const next = nextMagic(window, at + 1, place.isLast)
    strangeBytes += next - at
    at = next
  }
  return { usedBytes: at, strangeBytes, needBytes: READ_BYTES }
}

/** Where a magic starts, or may start in the last bytes of a window that is not the last. */
function nextMagic(window: Buffer, from: number, isLast: boolean): number {
  const found = window.indexOf(FRAME_MAGIC, from)
  if (found >= 0) return found
  return isLast ? window.length : Math.max(from, window.length - FRAME_MAGIC.length + 1)
}

/** Reads exactly this range, or less at the end of the file. */
export async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

/** The last right frame of this lineage in a file; searches from its end. */
export async function findLastFrame(path: string, lineage: string): Promise<FoundFrame | undefined> {
  const handle = await open(path, 'r')
  const fileBytes = await handle.stat().then(
    ({ size }) => size,
    () => 0,
  )
  await handle.close()
  let last: FoundFrame | undefined
  for (let reach = READ_BYTES; last === undefined; reach *= 4) {
    await scanJournal(
      path,
      (frame) => {
        if (frame.lineage === lineage) last = frame
      },
      Math.max(0, fileBytes - reach),
    )
    if (reach >= fileBytes) break
  }
  return last
}
