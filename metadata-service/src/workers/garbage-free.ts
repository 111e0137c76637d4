/** Frees the blocks of whole maps: first what its slices name, then its pages, so that a crash loses no page. */
import { type BlockId, type BlockMap, type BlockSlice, formatId, hasCode } from '@cairn/protocol'
import type { BlockReclaimer } from '../ports-blocks.js'

/** What a clean-up has freed; `complete` if every drive confirmed. */
export interface FreedMaps {
  readonly freedBytes: number
  readonly complete: boolean
}

/** Frees the blocks of the inline slices of many maps at once; for each map whether all of it is freed. */
export async function freeInlineMaps(
  reclaimer: BlockReclaimer,
  maps: readonly BlockMap[],
): Promise<{ freedBytes: number; complete: readonly boolean[] }> {
  const byPool = new Map<number, BlockSlice[]>()
  for (const map of maps) byPool.set(map.pool, [...(byPool.get(map.pool) ?? []), ...map.slices])
  let freedBytes = 0
  const unfinished = new Map<number, ReadonlySet<string>>()
  for (const [pool, slices] of byPool) {
    const freed = await reclaimer.deleteBlocks(pool, distinctBlocks(slices))
    freedBytes += freed.freedBytes
    unfinished.set(pool, freed.unfinished)
  }
  const complete = maps.map(
    (map) => !map.slices.some(({ block }) => unfinished.get(map.pool)?.has(formatId(block))),
  )
  return { freedBytes, complete }
}

/**
 * Frees a map page by page; pages in `kept` (hex block ids) are read but stay. A page that no drive gives, but some
 * drive may have, leaves the map incomplete.
 */
export async function freeMap(
  reclaimer: BlockReclaimer,
  map: BlockMap,
  kept: ReadonlySet<string> = new Set(),
): Promise<FreedMaps> {
  let result = await freeSlices(reclaimer, map.pool, map.slices)
  for (const page of map.pages) {
    const slices = await findSlices(reclaimer, map.pool, page.slice)
    const freed = slices === undefined ? UNFINISHED : await freeSlices(reclaimer, map.pool, slices)
    result = join(result, freed)
  }
  return result.complete ? join(result, await freePages(reclaimer, map, kept)) : result
}

/** Frees only the page blocks of a map. */
export function freePages(
  reclaimer: BlockReclaimer,
  map: BlockMap,
  kept: ReadonlySet<string>,
): Promise<FreedMaps> {
  const pages = map.pages.map((page) => page.slice).filter(({ block }) => !kept.has(formatId(block)))
  return freeSlices(reclaimer, map.pool, pages)
}

/** The sum of two. */
export function join(a: FreedMaps, b: FreedMaps): FreedMaps {
  return { freedBytes: a.freedBytes + b.freedBytes, complete: a.complete && b.complete }
}

const UNFINISHED: FreedMaps = { freedBytes: 0, complete: false }

/** The slices of a page: none if an earlier run deleted it, after its slices; `undefined` if they are not known. */
async function findSlices(
  reclaimer: BlockReclaimer,
  pool: number,
  page: BlockSlice,
): Promise<readonly BlockSlice[] | undefined> {
  try {
    return (await reclaimer.readPage(pool, page)) ?? []
  } catch (error) {
    if (!hasCode(error, 'BlockUnavailable')) throw error
    return undefined
  }
}

async function freeSlices(
  reclaimer: BlockReclaimer,
  pool: number,
  slices: readonly BlockSlice[],
): Promise<FreedMaps> {
  if (slices.length === 0) return { freedBytes: 0, complete: true }
  const { freedBytes, unfinished } = await reclaimer.deleteBlocks(pool, distinctBlocks(slices))
  return { freedBytes, complete: unfinished.size === 0 }
}

function distinctBlocks(slices: readonly BlockSlice[]): BlockId[] {
  return [...new Map(slices.map(({ block }) => [formatId(block), block])).values()]
}
