/**
 * A store that goes on without journals leaves copies on its drives that would pass for all of it. So its place is
 * noted on them first: whatever ends there or before is the past, on every drive, also one that is absent now. A
 * later checkpoint lies behind that place, so nothing has to be taken back.
 */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { formatId } from '@cairn/protocol'
import type { EntryStore } from '../../ports.js'
import { copiesFolder, makeFolder, readClean, removeClean, writeUnfollowed } from './journal-files.js'
import { lineageOf, readFacts } from './journal-lineage.js'
import type { JournalLog } from './journal-log.js'

/** Durable on every drive that is there once it resolves; a drive in error is told of and passed over. */
export async function noteUnfollowed(options: {
  readonly store: EntryStore
  /** Folders of the drives. */
  readonly drives: readonly string[]
  readonly log?: JournalLog
}): Promise<void> {
  const { cluster, head } = await readFacts(options.store)
  if (cluster === undefined) return
  const at = { number: head, lineage: formatId(lineageOf(cluster)) }
  for (const folder of options.drives) {
    try {
      if (!(await holdsDrive(folder))) continue
      const copies = copiesFolder(folder)
      await makeFolder(copies)
      if ((await readClean(copies))?.lineage === at.lineage) await removeClean(copies)
      await writeUnfollowed(copies, at)
    } catch (err) {
      options.log?.error({ folder, err }, 'that the metadata goes on without its journals was not noted')
    }
  }
}

function holdsDrive(folder: string): Promise<boolean> {
  return access(join(folder, 'drive.json')).then(
    () => true,
    () => false,
  )
}
