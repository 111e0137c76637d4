/**
 * Removes what a completed or aborted upload leaves: blocks of parts that the object does not use, rows of parts,
 * and, for an aborted upload, the `r/` rows of its borrowed maps. Blocks first, then the rows that name them: a
 * crash leaves rows, and the next run begins again.
 */
import { type BlockMap, formatId, type OpId, type PartRun } from '@cairn/protocol'
import { partNumberOfKey, referenceKey } from '../core/rows/keys.js'
import { type GarbageRow, MapReference, PartRow } from '../core/rows/rows.js'
import { borrowRange, partProofRange, partsAfter } from '../core/rows/uploads-keys.js'
import type { KeyValueStore, StoreKey, StoreRange, StoreRow } from '../ports.js'
import type { BlockReclaimer } from '../ports-blocks.js'
import { type FreedMaps, freeMap, freePages, join } from './garbage-free.js'

/** Rows of one step; their deletion must fit one commit. */
const ROWS_PER_STEP = 50

export interface CleanUpWorld {
  readonly store: KeyValueStore
  readonly reclaimer: BlockReclaimer
}

/** `complete` once nothing of the upload but its own row is left. */
export async function cleanUpUpload(
  world: CleanUpWorld,
  upload: OpId,
  row: GarbageRow,
  signal: AbortSignal,
): Promise<FreedMaps> {
  const isCompleted = row.map !== undefined
  const usedPages = new Set((row.map?.pages ?? []).map(({ slice }) => formatId(slice.block)))
  const parts = await sweep(world.store, partsAfter(upload, 0), signal, async (rows) => {
    let freed: FreedMaps = { freedBytes: 0, complete: true }
    for (const part of rows)
      freed = join(freed, await freePart(world.reclaimer, part, row.listedParts, usedPages))
    return freed
  })
  if (!parts.complete) return parts
  const nothing = { freedBytes: 0, complete: true }
  const borrowed = await sweep(world.store, borrowRange(upload), signal, async (rows) => {
    if (!isCompleted)
      await deleteRows(
        world.store,
        rows.map((each) => referenceOf(each, upload)),
      )
    return nothing
  })
  const proofs = await sweep(world.store, partProofRange(upload), signal, async () => nothing)
  return join(parts, join(borrowed, proofs))
}

/** The borrowed blocks of a part copy are not its own; a part that is used leaves only its pages. */
async function freePart(
  reclaimer: BlockReclaimer,
  row: StoreRow,
  listed: readonly PartRun[],
  usedPages: ReadonlySet<string>,
): Promise<FreedMaps> {
  const part = PartRow.decode(row.value)
  const map: BlockMap = part.map
  const isUsed = isListed(partNumberOfKey(row.key), listed)
  if (isUsed || part.references.length > 0) return freePages(reclaimer, map, usedPages)
  return freeMap(reclaimer, map, usedPages)
}

function isListed(partNumber: number, runs: readonly PartRun[]): boolean {
  return runs.some(({ firstNumber, count }) => partNumber >= firstNumber && partNumber < firstNumber + count)
}

function referenceOf({ value }: StoreRow, upload: OpId): StoreKey {
  return referenceKey(MapReference.decode(value).map, upload)
}

/** Handles rows in steps and deletes them; stops at a step that is not complete. */
async function sweep(
  store: KeyValueStore,
  range: StoreRange,
  signal: AbortSignal,
  handle: (rows: readonly StoreRow[]) => Promise<FreedMaps>,
): Promise<FreedMaps> {
  let result: FreedMaps = { freedBytes: 0, complete: true }
  while (!signal.aborted) {
    const { results } = await store.readAuthority([{ kind: 'scan', range, limit: ROWS_PER_STEP }])
    const rows = results[0] ?? []
    if (rows.length === 0) return result
    result = join(result, await handle(rows))
    if (!result.complete) return result
    await deleteRows(
      store,
      rows.map(({ key }) => key),
    )
  }
  return { ...result, complete: false }
}

/** The upload has ended, so nobody writes these rows any more: no compare is needed, and a repeat does no harm. */
async function deleteRows(store: KeyValueStore, keys: readonly StoreKey[]): Promise<void> {
  if (keys.length === 0) return
  await store.commit({
    compares: [],
    deletes: keys,
    proof: { keys: keys.slice(0, 1), carries: (rows) => rows[0] === undefined },
  })
}
