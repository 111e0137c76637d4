/** A block that is on disk at quorum, and what must happen to it when the placement changes before its commit. */
import {
  type BlockId,
  type BlockOwner,
  type BlockSlice,
  CairnError,
  type DriveId,
  groupOf,
  RECONNECT_DELAY_MS_MAX,
  type Unit,
} from '@cairn/protocol'
import type { GroupView, Target } from '../cluster/cluster-view.js'
import type { WriterSession } from '../cluster/session.js'
import {
  REPLICA_GRACE_MS_MAX,
  STALE_ATTEMPTS_MAX,
  STALE_DELAY_MS,
  UNREACHED_ATTEMPTS_MAX,
} from '../limits.js'
import type { ClientParts } from '../parts.js'
import { sleep } from '../waiting.js'
import { BlockReader } from './block-reader.js'
import { type BlockFacts, ReplicaWrite } from './replica-write.js'

/** Where blocks are kept, and for how long anybody wants them. */
export interface PoolScope {
  readonly pool: number
  readonly signal?: AbortSignal
}

/** Under which session and for whom blocks are written. */
export interface WriteScope extends PoolScope {
  readonly session: WriterSession
  readonly owner: BlockOwner
}

/** A block as its writer knows it once it is whole. */
export interface WholeBlock extends BlockFacts {
  readonly block: BlockId
  readonly owner: BlockOwner
}

export interface StoredBlock extends WholeBlock {
  readonly group: number
  /** Epoch of the pool by which it was placed. */
  readonly epoch: number
  /** Where it is durable. */
  readonly drives: readonly DriveId[]
  /** Copies that it has when none is owed. */
  readonly copiesWanted: number
  /** What the drives gave as a proof; gateways get none. */
  readonly receipts?: readonly Uint8Array[]
}

/** The slice that covers all of a block. */
export function wholeSlice({ block, sizeBytes, hash }: WholeBlock): BlockSlice {
  return { block, offset: 0, length: sizeBytes, blockBytes: sizeBytes, hash }
}

/** Stores a block that is at hand as units. Sends it again as long as that may help: see `mayFareBetter`. */
export async function storeUnits(
  parts: ClientParts,
  scope: PoolScope,
  content: WholeBlock & { readonly units: readonly Unit[] },
): Promise<StoredBlock> {
  const { block, owner } = content
  for (let attempt = 1; ; attempt++) {
    const group = parts.view.group(scope.pool, groupOf(block))
    const write = new ReplicaWrite({ parts, group, block, owner })
    write.facts = content
    write.start(group.recipients, () => content.units)
    await write.whenSettled(parts.late)
    if (write.hasQuorum) {
      if (write.isStale) await noteStale(parts)
      return describe(content, group, write)
    }
    if (!mayFareBetter(write, attempt)) throw tooFew(block, write)
    await untilNextAttempt(parts, scope, write)
  }
}

/** Whether a write below its quorum is worth another attempt. */
export function mayFareBetter({ isStale, isUnreached }: ReplicaWrite, attempt: number): boolean {
  return isStale ? attempt < STALE_ATTEMPTS_MAX : isUnreached && attempt < UNREACHED_ATTEMPTS_MAX
}

/** Waits for what the next attempt needs: a newer map, or servers that are dialled again. */
export async function untilNextAttempt(
  parts: ClientParts,
  { signal }: PoolScope,
  { isStale }: ReplicaWrite,
): Promise<void> {
  if (isStale) await noteStale(parts)
  else await sleep(parts.clock, RECONNECT_DELAY_MS_MAX, signal)
}

/** The block as stored by this write. */
export function describe(
  { block, owner, sizeBytes, hash }: WholeBlock,
  { pool, copiesWanted }: GroupView,
  { stored: drives, receipts }: Pick<ReplicaWrite, 'stored' | 'receipts'>,
): StoredBlock {
  const { epoch } = pool
  const described = { block, owner, sizeBytes, hash, group: groupOf(block), epoch, drives, copiesWanted }
  return receipts === undefined ? described : { ...described, receipts }
}

/** Stores a block that is on disk once more, which changes nothing but gives new receipts. */
export async function storeAgain(
  parts: ClientParts,
  scope: PoolScope,
  stored: StoredBlock,
): Promise<StoredBlock> {
  return storeUnits(parts, scope, { ...stored, units: await readBack(parts, scope, stored) })
}

/** Somebody knows a newer map than this client: get it. If it is not there yet, give it a moment. */
export async function noteStale({ clock, counters, view }: ClientParts): Promise<void> {
  counters.staleMaps++
  const { epoch } = view
  await view.refresh()
  if (view.epoch === epoch) await sleep(clock, STALE_DELAY_MS)
}

/** `InsufficientReplicas` for a block, or `DriveFull` for want of room, with the last replica's error as its cause. */
export function tooFew(block: BlockId, write: ReplicaWrite): CairnError {
  const name = Buffer.from(block).toString('hex')
  if (write.isFull) {
    return new CairnError('DriveFull', `too few drives have room for block ${name}`, {
      cause: write.lastError,
    })
  }
  const message = `too few drives could store block ${name}`
  return new CairnError('InsufficientReplicas', message, { cause: write.lastError })
}

/**
 * Makes the block fit the pool as it is now: members of its group, and drives that join it, get a copy if they lack
 * it, read back from a good replica and verified. `InsufficientReplicas` if fewer than a quorum, of the members as they
 * are or as they will be, hold it then. `isShort`: so few hold it now, and need others though the pool is the same.
 */
export async function fitToPool(
  parts: ClientParts,
  scope: PoolScope,
  stored: StoredBlock,
  { isShort = false }: { readonly isShort?: boolean } = {},
): Promise<StoredBlock> {
  let fitted = stored
  for (let attempt = 1; ; attempt++) {
    const group = parts.view.group(scope.pool, stored.group)
    if (!isShort && fitted.epoch === group.pool.epoch) return fitted
    const { held, lacking } = compare(fitted, group)
    const write = await copyTo(parts, scope, fitted, { group, lacking, held })
    if (write.isStale) await noteStale(parts)
    const receipts = together(fitted.receipts, write.receipts)
    if (write.hasQuorum) return describe(fitted, group, { stored: [...held, ...write.stored], receipts })
    if (!write.isStale || attempt >= STALE_ATTEMPTS_MAX) throw tooFew(stored.block, write)
    fitted = withCopies(fitted, write.stored, receipts)
  }
}

function withCopies(
  stored: StoredBlock,
  drives: readonly DriveId[],
  receipts: readonly Uint8Array[] | undefined,
): StoredBlock {
  const added = { ...stored, drives: [...stored.drives, ...drives] }
  return receipts === undefined ? added : { ...added, receipts }
}

/** Receipts of drives that have left the group since do no harm: nobody counts them. */
function together(
  before: readonly Uint8Array[] | undefined,
  added: readonly Uint8Array[] | undefined,
): Uint8Array[] | undefined {
  return before === undefined && added === undefined ? undefined : [...(before ?? []), ...(added ?? [])]
}

/** Members of a group, and drives that join it, that hold a copy of the block, and those that lack it. */
function compare(
  { drives }: StoredBlock,
  { recipients }: GroupView,
): { readonly held: DriveId[]; readonly lacking: Target[] } {
  const members = recipients.filter((target) => target !== undefined)
  return {
    held: members.filter(({ drive }) => drives.includes(drive)).map(({ drive }) => drive),
    lacking: members.filter(({ drive }) => !drives.includes(drive)),
  }
}

async function copyTo(
  parts: ClientParts,
  scope: PoolScope,
  stored: StoredBlock,
  to: { readonly group: GroupView; readonly lacking: readonly Target[]; readonly held: readonly DriveId[] },
): Promise<ReplicaWrite> {
  const units = to.lacking.length === 0 ? [] : await readBack(parts, scope, stored)
  const { block, owner } = stored
  const { group, held } = to
  // Those that hold it make a quorum already: the copies, for which this is done, need time of their own.
  const graceMsMin = REPLICA_GRACE_MS_MAX
  const write = new ReplicaWrite({ parts, group, block, owner, held, graceMsMin })
  write.facts = stored
  write.start(to.lacking, () => units)
  await write.whenSettled(parts.late)
  return write
}

/** The verified units of a block that only this writer knows of. Its drives may have left the group. */
async function readBack(parts: ClientParts, scope: PoolScope, stored: StoredBlock): Promise<Unit[]> {
  const { block, sizeBytes, hash, drives } = stored
  const read = { pool: scope.pool, block, blockBytes: sizeBytes, hash, from: 0, to: sizeBytes }
  const options = scope.signal === undefined ? { drives } : { drives, signal: scope.signal }
  const reader = new BlockReader(parts, read, options)
  const units: Unit[] = []
  for (let unit = await reader.nextUnit(); unit !== undefined; unit = await reader.nextUnit())
    units.push(unit)
  return units
}
