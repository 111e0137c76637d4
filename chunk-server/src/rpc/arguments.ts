/** Checks of what callers send. Ids are copied: those of a decoded message are views of its whole buffer. */
import {
  BLOCK_BYTES_MAX,
  BLOCK_ID_BYTES,
  type BlockId,
  CairnError,
  GROUPS_PER_POOL,
  LIST_PAGE_MAX,
  SESSION_ID_BYTES,
  type SessionId,
} from '@cairn/protocol'

/** BLAKE3-256. */
const HASH_BYTES = 32

/** A copy of a block id; `InvalidArgument` if it has not the length of one. */
export function ownedBlockId(id: BlockId): BlockId {
  return copyOfLength(id, BLOCK_ID_BYTES)
}

/** Copies of at most LIST_PAGE_MAX block ids, else `InvalidArgument`. */
export function ownedBlockIds(ids: readonly BlockId[]): BlockId[] {
  if (ids.length <= LIST_PAGE_MAX) return ids.map(ownedBlockId)
  throw new CairnError('InvalidArgument', `${ids.length} blocks at once; the most is ${LIST_PAGE_MAX}`)
}

/** A copy of a session id; `InvalidArgument` if it has not the length of one. */
export function ownedSessionId(id: SessionId): SessionId {
  return copyOfLength(id, SESSION_ID_BYTES)
}

/** `limit` if it is from 1 to LIST_PAGE_MAX, else `InvalidArgument`. */
export function pageLimit(limit: number): number {
  if (limit >= 1 && limit <= LIST_PAGE_MAX) return limit
  throw new CairnError('InvalidArgument', `a page has 1 to ${LIST_PAGE_MAX} entries, not ${limit}`)
}

/** A copy of a set of groups, one bit for each; `InvalidArgument` if it has another length. */
export function groupSet(groups: Uint8Array): Uint8Array {
  if (groups.length === GROUPS_PER_POOL / 8) return Buffer.from(groups)
  throw new CairnError('InvalidArgument', `a set of groups has ${GROUPS_PER_POOL / 8} bytes`)
}

/** `sizeBytes` if a block may be so long, else `InvalidArgument`. */
export function blockLength(sizeBytes: number): number {
  if (sizeBytes <= BLOCK_BYTES_MAX) return sizeBytes
  throw new CairnError('InvalidArgument', `a block has at most ${BLOCK_BYTES_MAX} bytes, not ${sizeBytes}`)
}

/** A copy of a block's hash; `InvalidArgument` if it has not the length of one. */
export function blockHash(hash: Uint8Array): Uint8Array {
  if (hash.length === HASH_BYTES) return Buffer.from(hash)
  throw new CairnError('InvalidArgument', `a hash has ${HASH_BYTES} bytes`)
}

function copyOfLength<Id extends Uint8Array>(id: Id, sizeBytes: number): Id {
  if (id.length !== sizeBytes) throw new CairnError('InvalidArgument', `not an id of ${sizeBytes} bytes`)
  return Buffer.from(id) as Uint8Array as Id
}
