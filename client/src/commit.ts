/**
 * The last step of every write. Blocks first, then the row that names them: before the commit the copies are
 * brought in line with the pool as it is now, and the commit compares the pool's epoch, so that a row never names
 * blocks that are not where the cluster map says. A crash before it leaves only unreferenced blocks, which the
 * garbage workers collect; nothing is deleted here, least of all after an error.
 */
import { hasCode, type OpId, type WriteContext } from '@cairn/protocol'
import { STALE_ATTEMPTS_MAX } from './limits.js'
import type { ClientParts } from './parts.js'
import type { WriterSession } from './session.js'
import { fitToPool, noteStale, type PoolScope, type StoredBlock } from './stored-block.js'
import { throwIfCancelled } from './waiting.js'

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
  const session = await parts.sessions.acquire()
  try {
    return await write(session)
  } finally {
    parts.sessions.release(session)
  }
}

/** Makes a change that stores no blocks: under a session all the same, which fences its attempts. */
export function changeUnderSession<Result>(
  parts: Pick<ClientParts, 'sessions'>,
  change: (op: OpId) => Promise<Result>,
): Promise<Result> {
  return underSession(parts, (session) => change(session.nextOp()))
}

/**
 * Commits by `send`, again with a newer cluster map as long as the pool has changed. `SessionExpired` if the
 * session ended while the blocks were written. Once sent, the commit is not cancelled: its outcome is waited for.
 */
export async function commitWrite<Result>(
  parts: ClientParts,
  scope: CommitScope,
  blocks: readonly StoredBlock[],
  send: (context: WriteContext) => Promise<Result>,
): Promise<Result> {
  let stored = blocks
  for (let attempt = 1; ; attempt++) {
    let pool = parts.view.pool(scope.pool)
    if (!fits(stored, pool.epoch)) {
      stored = await fitAll(parts, scope, stored)
      pool = parts.view.pool(scope.pool)
    }
    throwIfCancelled(scope.signal)
    parts.sessions.assertAlive(scope.session)
    const dirtyGroups = dirtyGroupsOf(stored)
    parts.counters.degradedBlocks += dirtyGroups.length
    try {
      return await send({ session: scope.session.id, op: scope.op, poolEpoch: pool.epoch, dirtyGroups })
    } catch (error) {
      if (!hasCode(error, 'StaleClusterMap') || attempt >= STALE_ATTEMPTS_MAX) throw error
      await noteStale(parts)
    }
  }
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

/** Groups of which a block lacks a copy: the commit notes them as a debt for repair. */
function dirtyGroupsOf(blocks: readonly StoredBlock[]): number[] {
  const groups = new Set<number>()
  for (const { drives, copiesWanted, group } of blocks) if (drives.length < copiesWanted) groups.add(group)
  return [...groups]
}
