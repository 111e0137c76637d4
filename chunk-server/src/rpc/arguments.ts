/** Checks of what callers send. Ids are copied: those of a decoded message are views of its whole buffer. */
import {
  BLOCK_ID_BYTES,
  type BlockId,
  CairnError,
  LIST_PAGE_MAX,
  SESSION_ID_BYTES,
  type SessionId,
} from '@cairn/protocol'

/** A copy of a block id; `InvalidArgument` if it has not the length of one. */
export function ownedBlockId(id: BlockId): BlockId {
  return copyOfLength(id, BLOCK_ID_BYTES)
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

function copyOfLength<Id extends Uint8Array>(id: Id, sizeBytes: number): Id {
  if (id.length !== sizeBytes) throw new CairnError('InvalidArgument', `not an id of ${sizeBytes} bytes`)
  return Buffer.from(id) as Uint8Array as Id
}
