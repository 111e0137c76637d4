/**
 * Marks the copies of the metadata on drives as the past: once a store was moved to etcd, recovery must not make the
 * old one anew from its journals. `<drive folder>/metadata/moved-<lineage>.json` stands for all copies of that lineage,
 * also for those on drives that were absent.
 */
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeCheckedJson } from '@cairn/protocol'
import { copiesFolder, isAbsent, makeFolder, syncFolder } from '../journal/journal-files.js'

const NAME = /^moved-([0-9a-f]+)\.json$/

function pathOf(folder: string, lineage: string): string {
  return join(folder, `moved-${lineage}.json`)
}

/** The lineages that are marked in a folder of copies. */
export async function listMoved(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isAbsent(error)) return []
    throw error
  })
  return names.flatMap((name) => NAME.exec(name)?.[1] ?? [])
}

/** Marks, durably, on every drive that can be written to; the folders of the others. Idempotent. */
export async function markCopies(
  drives: readonly string[],
  mark: { readonly lineage: string; readonly to: string; readonly atMs: number },
): Promise<readonly string[]> {
  const failed: string[] = []
  for (const drive of drives) {
    try {
      await markOne(copiesFolder(drive), mark)
    } catch {
      failed.push(drive)
    }
  }
  return failed
}

async function markOne(
  folder: string,
  mark: { readonly lineage: string; readonly to: string; readonly atMs: number },
): Promise<void> {
  await makeFolder(folder)
  const path = pathOf(folder, mark.lineage)
  const handle = await open(`${path}.new`, 'w', 0o600)
  try {
    await handle.writeFile(encodeCheckedJson({ ...mark }))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${path}.new`, path)
  await syncFolder(folder)
}

/** Takes the marks back, durably. Rejects if one stays. Idempotent. */
export async function unmarkCopies(drives: readonly string[], lineage: string): Promise<void> {
  for (const folder of drives.map(copiesFolder)) {
    if (!(await listMoved(folder)).includes(lineage)) continue
    await rm(pathOf(folder, lineage), { force: true })
    await syncFolder(folder)
  }
}
