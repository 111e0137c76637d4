/** Which id, and so which group, a new block gets. */
import type { BlockId } from '@cairn/protocol'
import type { ClusterView } from '../cluster/cluster-view.js'
import { BLOCK_IDS_DRAWN_MAX } from '../limits.js'
import type { WriteScope } from './stored-block.js'

/** An id of the session; of a group without a suspect drive, if one is soon found. Ids that are not used are lost. */
export function newBlock(
  view: ClusterView,
  { session, pool }: Pick<WriteScope, 'session' | 'pool'>,
): BlockId {
  let block = session.nextBlock()
  for (let drawn = 1; drawn < BLOCK_IDS_DRAWN_MAX && view.isDoubtful(pool, block); drawn++) {
    block = session.nextBlock()
  }
  return block
}
