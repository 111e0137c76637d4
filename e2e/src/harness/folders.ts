/** Temporary folders on a real disk, and trees compared by SHA-256. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'

/** A new empty folder below TMPDIR. Must not be a tmpfs where durability is tested. */
export function temporaryFolder(label: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `cairn-${label}-`))
}

export function removeFolder(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true, maxRetries: 3 })
}

/** SHA-256 of a file's content, as hex. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Regular files below a folder: path relative to it, with `/`, to SHA-256. Symbolic links are left out. */
export async function hashTree(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    found.set(relative(root, path), await hashFile(path))
  }
  return found
}

/** Lines that tell how two trees differ; empty if they are the same. */
export function compareTrees(
  expected: ReadonlyMap<string, string>,
  actual: ReadonlyMap<string, string>,
): string[] {
  const differences: string[] = []
  for (const [path, hash] of expected) {
    const other = actual.get(path)
    if (other === undefined) differences.push(`missing: ${path}`)
    else if (other !== hash) differences.push(`different: ${path}`)
  }
  for (const path of actual.keys()) if (!expected.has(path)) differences.push(`unexpected: ${path}`)
  return differences
}

/** Bytes that a folder's files occupy on disk. */
export async function diskBytes(root: string): Promise<number> {
  let total = 0
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const found = await stat(join(entry.parentPath, entry.name)).catch(() => undefined)
    total += (found?.blocks ?? 0) * 512
  }
  return total
}
