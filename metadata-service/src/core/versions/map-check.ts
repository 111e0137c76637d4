/** Checks a block map where it enters: no row names a map that does not make up its bytes. */
import { BlockMap, CairnError, INLINE_MAP_BYTES_MAX } from '@cairn/protocol'

/** Slices whose map surely fits inline; above that its size is computed. */
const SLICES_SURELY_INLINE = 16

/** `InvalidArgument` unless the map covers `sizeBytes`, by slices or by pages, and is paged if it is too long. */
export function checkMap(map: BlockMap, sizeBytes: number): void {
  let covered = 0
  for (const slice of map.slices) covered += slice.length
  for (const page of map.pages) covered += page.coveredBytes
  if (covered !== sizeBytes) {
    throw new CairnError('InvalidArgument', `the block map covers ${covered} of ${sizeBytes} bytes`)
  }
  if (map.slices.length > 0 && map.pages.length > 0) {
    throw new CairnError('InvalidArgument', 'a block map has slices or pages, not both')
  }
  if (map.slices.length <= SLICES_SURELY_INLINE) return
  const size = BlockMap.encode(map).length
  if (size > INLINE_MAP_BYTES_MAX) {
    throw new CairnError('InvalidArgument', `an inline block map of ${size} bytes must be paged`)
  }
}
