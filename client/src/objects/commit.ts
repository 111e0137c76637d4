/**
 * The last step of every write. Blocks first, then the row that names them: before the commit the copies are
 * brought in line with the pool as it is now, and the commit compares the pool's epoch, so that a row never names
 * blocks that are not where the cluster map says. A crash before it leaves only unreferenced blocks, which the
 * garbage workers collect; nothing is deleted here, least of all after an error.
 */
import {
  type Attempt,
  hasCode,
  type OpId,
  type RpcMethod,
  type ShownReceipts,
  type WriteContext,
} from '@cairn/protocol'
import { fitToPool, noteStale, type PoolScope, type StoredBlock, storeAgain } from '../blocks/stored-block.js'
import type { WriterSession } from '../cluster/session.js'
import { STALE_ATTEMPTS_MAX } from '../limits.js'
import type { ClientParts } from '../parts.js'
import { throwIfCancelled } from '../waiting.js'

/** The write that a commit ends. */
export interface CommitScope extends PoolScope {
  readonly session: WriterSession
  readonly op: OpId
}

/** Runs a write under a session of its own to the end. */
export async function underSession<Result>(
  parts: Pick<ClientParts, 'sessions'>,
  write: (session: WriterSession) => Promise<Result>,
): Promise<Result> {
  const acquired = parts.sessions.acquire()
  const session = acquired instanceof Promise ? await acquired : acquired
  try {
    return await write(session)
  } finally {
    parts.sessions.release(session)
  }
}

/** Makes a change that stores no blocks: under a session all the same, which fences its attempts. */
export function changeUnderSession<Request, Response>(
  parts: Pick<ClientParts, 'sessions' | 'metadata'>,
  method: RpcMethod<Request, Response>,
  requestOf: (op: OpId, attempt: Attempt) => Request,
): Promise<Response> {
  return underSession(parts, (session) => {
    const op = session.nextOp()
    return parts.metadata.change(method, session, (attempt) => requestOf(op, attempt))
  })
}

/**
 * Commits by `send`, again with a newer cluster map as long as the pool has changed, and once with new receipts if the
 * old ones do not do. `SessionExpired` if the session ended while the blocks were written. Once sent, the commit is not
 * cancelled: its outcome is waited for.
 */
export async function commitWrite<Result>(
  parts: ClientParts,
  scope: CommitScope,
  blocks: readonly StoredBlock[],
  send: (context: WriteContext) => Promise<Result>,
): Promise<Result> {
  let stored = blocks
  let mayRenew = true
  for (let attempt = 1; ; attempt++) {
    let pool = parts.view.pool(scope.pool)
    if (!fits(stored, pool.epoch)) {
      stored = await fitAll(parts, scope, stored)
      pool = parts.view.pool(scope.pool)
    }
    throwIfCancelled(scope.signal)
    parts.sessions.assertAlive(scope.session)
    const context = contextOf(scope, stored, pool.epoch)
    parts.counters.degradedBlocks += context.dirtyGroups.length
    try {
      return await send(context)
    } catch (error) {
      if (attempt >= STALE_ATTEMPTS_MAX || !isMendable(error, mayRenew)) throw error
      if (hasCode(error, 'ReceiptMissing')) mayRenew = false
      stored = await mend(parts, scope, stored, error)
    }
  }
}

function isMendable(error: unknown, mayRenew: boolean): boolean {
  return hasCode(error, 'StaleClusterMap') || (mayRenew && hasCode(error, 'ReceiptMissing'))
}

async function mend(
  parts: ClientParts,
  scope: PoolScope,
  stored: readonly StoredBlock[],
  error: unknown,
): Promise<readonly StoredBlock[]> {
  if (hasCode(error, 'ReceiptMissing')) return renewReceipts(parts, scope, stored)
  await noteStale(parts)
  return stored
}

function contextOf(
  { session, op }: CommitScope,
  stored: readonly StoredBlock[],
  poolEpoch: number,
): WriteContext {
  const context = { session: session.id, op, poolEpoch, dirtyGroups: dirtyGroupsOf(stored) }
  const receipts = receiptsOf(stored)
  return receipts === undefined ? context : { ...context, receipts }
}

function fits(blocks: readonly StoredBlock[], epoch: number): boolean {
  for (const block of blocks) if (block.epoch !== epoch) return false
  return true
}

/** Leaves the blocks alone while the pool has the epoch by which they were placed. */
async function fitAll(
  parts: ClientParts,
  scope: PoolScope,
  blocks: readonly StoredBlock[],
): Promise<readonly StoredBlock[]> {
  let epoch = parts.view.pool(scope.pool).epoch
  let stored = blocks
  while (!fits(stored, epoch)) {
    const fitted: StoredBlock[] = []
    for (const block of stored) fitted.push(await fitToPool(parts, scope, block))
    stored = fitted
    epoch = parts.view.pool(scope.pool).epoch
  }
  return stored
}

/**
 * Receipts may be too old after a day, and there are none of a drive that was told no key yet or was of a former
 * version: the drives are sent what they have, and give new ones.
 */
async function renewReceipts(
  parts: ClientParts,
  scope: PoolScope,
  blocks: readonly StoredBlock[],
): Promise<readonly StoredBlock[]> {
  const renewed: StoredBlock[] = []
  for (const block of blocks) renewed.push(await storeAgain(parts, scope, block))
  return renewed
}

/** What the drives gave as proofs; nothing for a gateway. */
function receiptsOf(blocks: readonly StoredBlock[]): ShownReceipts | undefined {
  if (blocks.every(({ receipts }) => receipts === undefined)) return undefined
  return { blocks: blocks.map(({ block, receipts = [] }) => ({ block, receipts })) }
}

/** Groups of which a block lacks a copy: the commit notes them as a debt for repair. */
function dirtyGroupsOf(blocks: readonly StoredBlock[]): number[] {
  const lacking = blocks.filter(({ drives, copiesWanted }) => drives.length < copiesWanted)
  return lacking.length === 0 ? [] : [...new Set(lacking.map(({ group }) => group))]
}
