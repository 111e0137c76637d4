/** Ways in which a file on disk goes bad, as `reliability.md` T6 lists them. */
import { chmod, copyFile, open, readdir, rename, rm, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import type { Seeded } from './seeded.js'

const PAGE_BYTES = 4096
const JUNK_BYTES = 777

/** A file to be damaged, in a data folder that is a copy. */
export interface Victim {
  readonly dataDir: string
  /** Relative to the data folder. */
  readonly path: string
  /** Other files of its kind, relative. */
  readonly alike: readonly string[]
  /** An older state of the data folder. */
  readonly olderDir: string
  readonly seeded: Seeded
}

/** Damages the file. False if that cannot be done to it: it is empty, alone of its kind, or has no older version. */
export type Rot = (victim: Victim) => Promise<boolean>

/** The ways by name. `flip` is to be repeated: each time it takes another place. */
export const ROTS: ReadonlyMap<string, Rot> = new Map<string, Rot>([
  ['flip one bit', flip],
  ['truncate to 0', (victim) => cut(victim, () => 0)],
  ['truncate to half', (victim) => cut(victim, (size) => size >>> 1)],
  ['truncate by one byte', (victim) => cut(victim, (size) => size - 1)],
  ['append junk', append],
  ['zero a page', zero],
  ['swap with another', swap],
  ['restore an older version', restore],
  ['take all rights', forbid],
  ['delete', remove],
])

function pathOf({ dataDir, path }: Victim): string {
  return join(dataDir, path)
}

async function sizeOf(victim: Victim): Promise<number> {
  return (await stat(pathOf(victim))).size
}

async function overwrite(
  victim: Victim,
  offset: number,
  change: (bytes: Buffer) => void,
  length: number,
): Promise<void> {
  const file = await open(pathOf(victim), 'r+')
  try {
    const bytes = Buffer.alloc(length)
    const { bytesRead } = await file.read(bytes, 0, length, offset)
    change(bytes)
    await file.write(bytes, 0, bytesRead, offset)
  } finally {
    await file.close()
  }
}

async function flip(victim: Victim): Promise<boolean> {
  const size = await sizeOf(victim)
  if (size === 0) return false
  const turn = (bytes: Buffer): void => {
    bytes[0] = (bytes[0] ?? 0) ^ (1 << victim.seeded.below(8))
  }
  await overwrite(victim, victim.seeded.below(size), turn, 1)
  return true
}

async function zero(victim: Victim): Promise<boolean> {
  const pages = Math.ceil((await sizeOf(victim)) / PAGE_BYTES)
  if (pages === 0) return false
  const offset = victim.seeded.below(pages) * PAGE_BYTES
  await overwrite(victim, offset, (bytes) => void bytes.fill(0), PAGE_BYTES)
  return true
}

async function cut(victim: Victim, to: (size: number) => number): Promise<boolean> {
  const size = await sizeOf(victim)
  if (size === 0) return false
  await truncate(pathOf(victim), to(size))
  return true
}

async function append(victim: Victim): Promise<boolean> {
  const file = await open(pathOf(victim), 'a')
  try {
    await file.write(Buffer.from(Array.from({ length: JUNK_BYTES }, () => victim.seeded.below(256))))
  } finally {
    await file.close()
  }
  return true
}

async function swap(victim: Victim): Promise<boolean> {
  const others = victim.alike.filter((path) => path !== victim.path)
  if (others.length === 0) return false
  const [one, other] = [pathOf(victim), join(victim.dataDir, victim.seeded.pick(others))]
  await rename(one, `${one}.swap`)
  await rename(other, one)
  await rename(`${one}.swap`, other)
  return true
}

async function restore(victim: Victim): Promise<boolean> {
  const older = join(victim.olderDir, victim.path)
  const isThere = await stat(older).then(
    () => true,
    () => false,
  )
  if (isThere) await copyFile(older, pathOf(victim))
  return isThere
}

async function forbid(victim: Victim): Promise<boolean> {
  await chmod(pathOf(victim), 0)
  return true
}

async function remove(victim: Victim): Promise<boolean> {
  await rm(pathOf(victim))
  return true
}

/** The regular files of a data folder by kind: their path with each number or id in it made one. */
export async function filesByKind(dataDir: string): Promise<Map<string, string[]>> {
  const kinds = new Map<string, string[]>()
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name).slice(dataDir.length + 1)
    const kind = path.replace(/[0-9a-f]{6,}|\d+/g, '#')
    kinds.set(kind, [...(kinds.get(kind) ?? []), path])
  }
  return new Map([...kinds].sort(([a], [b]) => (a < b ? -1 : 1)))
}
