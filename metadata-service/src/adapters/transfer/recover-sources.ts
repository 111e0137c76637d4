/** Finds what copies of the metadata all drives hold, and how far they reach together. */
import { open } from 'node:fs/promises'
import { hasCode } from '@cairn/protocol'
import { type CheckpointFacts, readCheckpoint } from '../journal/checkpoint-file.js'
import {
  copiesFolder,
  isAbsent,
  listCopies,
  type NumberedFile,
  readClean,
  readUnfollowed,
  type StorePlace,
} from '../journal/journal-files.js'
import { type FoundFrame, readAt, scanJournal } from '../journal/journal-scan.js'
import { listMoved } from './moved-copies.js'

/** A frame of the chosen lineage: any whole copy of it. */
export interface KnownFrame extends FoundFrame {
  readonly path: string
}

/** All copies that the drives hold. */
export interface CopySources {
  /** Checkpoint files by falling number; not yet read. */
  readonly checkpoints: readonly NumberedFile[]
  readonly journals: readonly NumberedFile[]
  readonly clean: readonly StorePlace[]
  /** Where stores went on without journals. */
  readonly unfollowed: readonly StorePlace[]
  /** Lineages whose stores were moved elsewhere: their copies are the past. */
  readonly moved: readonly string[]
  /** Folders that could not be read, with the reason. */
  readonly unreadable: readonly string[]
}

/** The frames that follow a checkpoint, in one unbroken row. */
export interface FrameRow {
  readonly frames: readonly KnownFrame[]
  /** Number of the last frame, or of the checkpoint. */
  readonly number: number
  readonly wallMicros: number
  /** Frames behind the first gap: known, but of no use without those that are missing. */
  readonly strandedFrames: number
  /** The highest number seen anywhere. */
  readonly highest: number
  /** Bytes in journals that belong to no whole frame. */
  readonly strangeBytes: number
  /** The store was closed in order at exactly this number. */
  readonly isComplete: boolean
  /** The store went on from here without journals: this is the past. */
  readonly isPast: boolean
}

/** Lists the copies on all drives. `FormatTooNew` of a newer version's. */
export async function findSources(driveFolders: readonly string[]): Promise<CopySources> {
  const checkpoints: NumberedFile[] = []
  const journals: NumberedFile[] = []
  const clean: StorePlace[] = []
  const unfollowed: StorePlace[] = []
  const moved: string[] = []
  const unreadable: string[] = []
  for (const folder of driveFolders.map(copiesFolder)) {
    try {
      const found = await listCopies(folder)
      checkpoints.push(...found.checkpoints)
      journals.push(...found.journals)
      const end = await readClean(folder)
      if (end !== undefined) clean.push(end)
      const past = await readUnfollowed(folder)
      if (past !== undefined) unfollowed.push(past)
      moved.push(...(await listMoved(folder)))
    } catch (error) {
      if (hasCode(error, 'FormatTooNew')) throw error
      unreadable.push(`${folder}: ${(error as Error).message}`)
    }
  }
  checkpoints.sort((a, b) => b.number - a.number)
  return { checkpoints, journals, clean, unfollowed, moved, unreadable }
}

export interface FindCheckpointOptions {
  /** If known: those of other clusters are passed over. */
  readonly clusterId: string | undefined
  readonly onDamage: (path: string) => void
  readonly onProgress?: (bytes: number) => void
}

/** The newest checkpoint that is whole, of this cluster, and not of a store that was moved; damaged ones are told. */
export async function findCheckpoint(
  sources: CopySources,
  options: FindCheckpointOptions,
): Promise<CheckpointFacts | undefined> {
  for (const { path } of sources.checkpoints) {
    const facts = await tryCheckpoint(path, options)
    if (facts === undefined) options.onDamage(path)
    else if (isWanted(facts, sources, options)) return facts
  }
  return undefined
}

function isWanted(
  { clusterId, lineage }: CheckpointFacts,
  { moved }: CopySources,
  options: FindCheckpointOptions,
): boolean {
  return (options.clusterId ?? clusterId) === clusterId && !moved.includes(lineage)
}

/** An unreadable file is a damaged one: others may hold the same. */
async function tryCheckpoint(
  path: string,
  { onProgress }: FindCheckpointOptions,
): Promise<CheckpointFacts | undefined> {
  try {
    return await readCheckpoint(path, onProgress === undefined ? {} : { progress: onProgress })
  } catch (error) {
    if (isReadError(error)) return undefined
    throw error
  }
}

/** Reads all journals and links the frames behind a checkpoint. */
export async function findFrames(sources: CopySources, checkpoint: CheckpointFacts): Promise<FrameRow> {
  const following = new Map<number, KnownFrame>()
  let highest = Math.max(checkpoint.number, ...sources.checkpoints.map(({ number }) => number))
  let strangeBytes = 0
  for (const { path } of sources.journals) {
    const visit = (frame: FoundFrame): void => {
      highest = Math.max(highest, frame.number)
      if (frame.lineage !== checkpoint.lineage || frame.number <= checkpoint.number) return
      if (!following.has(frame.after)) following.set(frame.after, { ...frame, path })
    }
    try {
      strangeBytes += (await scanJournal(path, visit)).strangeBytes
    } catch (error) {
      if (!isReadError(error)) throw error
    }
  }
  return { ...link(following, checkpoint, sources), highest, strangeBytes }
}

/** Only what the operating system says about a file; its frames may stand on other drives. */
function isReadError(error: unknown): boolean {
  return isAbsent(error) || typeof (error as NodeJS.ErrnoException).errno === 'number'
}

function link(
  following: ReadonlyMap<number, KnownFrame>,
  checkpoint: CheckpointFacts,
  { clean, unfollowed }: CopySources,
): Omit<FrameRow, 'highest' | 'strangeBytes'> {
  const frames: KnownFrame[] = []
  let { number, wallMicros } = checkpoint
  for (let next = following.get(number); next !== undefined; next = following.get(number)) {
    frames.push(next)
    number = next.number
    wallMicros = next.wallMicros
  }
  const { lineage } = checkpoint
  const isPast = unfollowed.some((place) => place.number >= number && place.lineage === lineage)
  return {
    frames,
    number,
    wallMicros,
    strandedFrames: following.size - frames.length,
    isComplete: !isPast && clean.some((end) => end.number === number && end.lineage === lineage),
    isPast,
  }
}

/** Reads frames one after the other, each from where it was found. */
export async function* readFrames(frames: readonly KnownFrame[]): AsyncGenerator<Buffer> {
  let current: { path: string; handle: Awaited<ReturnType<typeof open>> } | undefined
  try {
    for (const { path, offset, sizeBytes } of frames) {
      if (current?.path !== path) {
        await current?.handle.close()
        current = { path, handle: await open(path, 'r') }
      }
      yield await readAt(current.handle, offset, sizeBytes)
    }
  } finally {
    await current?.handle.close()
  }
}
