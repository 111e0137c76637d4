/** Cases of a run side by side: most of a case is a start or a stop, which wait as much as they work. */
import { availableParallelism } from 'node:os'

/** One more than there are cores. */
const LANES: number = availableParallelism() + 1

/** Works the items off in order, several at once. Folders and ports of cases that run together differ by `lane`. */
export async function inLanes<T>(
  items: readonly T[],
  work: (item: T, place: { readonly lane: number; readonly index: number }) => Promise<void>,
): Promise<void> {
  let next = 0
  async function runLane(lane: number): Promise<void> {
    for (let index = next++; index < items.length; index = next++) {
      await work(items[index] as T, { lane, index })
    }
  }
  await Promise.all(Array.from({ length: Math.min(LANES, items.length) }, (_, lane) => runLane(lane)))
}
