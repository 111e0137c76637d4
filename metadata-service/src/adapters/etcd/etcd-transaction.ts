/**
 * An entry as one transaction of etcd, and so one entry of its Raft log and one fsync of each member:
 *
 *   if fence
 *   then (if compares₁ then writes₁ else read what compares₁ look at), (if compares₂ …), …, put always
 *
 * etcd evaluates the compares of all nested transactions on the state before the entry, which is what `EntryStore`
 * promises. A fence that does not hold leaves nothing behind. Nothing in it names a revision to read at.
 */
import { CairnError } from '@cairn/protocol'
import type {
  Commit,
  CommitResult,
  Compare,
  Entry,
  EntryFence,
  LeaseId,
  Put,
  StoreRange,
  StoreRow,
} from '../../ports.js'
import { type EtcdKeys, isVoid } from './etcd-keys.js'
import { OPERATIONS_MAX } from './etcd-limits.js'
import {
  type EtcdCompare,
  type PutRequest,
  RESULT,
  type RequestOp,
  type ResponseOp,
  TARGET,
  type TxnRequest,
  type TxnResponse,
} from './etcd-messages.js'

/** `MessageTooLarge` if etcd would refuse the number of operations. */
export function toTransaction(keys: EtcdKeys, entry: Entry): TxnRequest {
  const branches = entry.commits.map((commit) => toBranch(keys, commit))
  const transaction: TxnRequest = {
    compare: entry.fence === undefined ? [] : [toFence(keys, entry.fence)],
    success: [
      ...branches.map((branch) => ({ request_txn: branch })),
      ...entry.always.map((put) => ({ request_put: toPut(keys, put) })),
    ],
  }
  const operations = widthOf(transaction) + branches.reduce((most, one) => Math.max(most, widthOf(one)), 0)
  if (operations <= OPERATIONS_MAX) return transaction
  throw new CairnError('MessageTooLarge', `an entry of ${operations} operations`)
}

/** The answer to `toTransaction`; `PreconditionFailed` if the fence did not hold. */
export function toResults(keys: EtcdKeys, entry: Entry, answer: TxnResponse): readonly CommitResult[] {
  if (answer.succeeded !== true) {
    throw new CairnError('PreconditionFailed', 'the fence of the entry does not hold')
  }
  const revision = answer.header?.revision ?? 0
  return entry.commits.map((commit, at) => {
    const branch = answer.responses?.[at]?.response_txn
    if (branch === undefined) throw new CairnError('Internal', 'etcd lost the answer to a commit')
    if (branch.succeeded === true) return { committed: true, revision }
    return { committed: false, revision, rows: refusedRows(keys, commit, branch.responses ?? []) }
  })
}

function widthOf({ compare = [], success = [], failure = [] }: TxnRequest): number {
  return Math.max(compare.length, success.length, failure.length)
}

function toBranch(keys: EtcdKeys, commit: Commit): TxnRequest {
  const success: RequestOp[] = []
  for (const key of commit.deletes ?? []) success.push({ request_delete_range: { key: keys.outside(key) } })
  for (const range of commit.deleteRanges ?? []) {
    if (!isVoid(range)) success.push({ request_delete_range: keys.range(range) })
  }
  for (const put of commit.puts ?? []) success.push({ request_put: toPut(keys, put) })
  const asked = commit.compares.filter((compare) => !isAlwaysTrue(compare))
  return {
    compare: asked.map((compare) => toCompare(keys, compare)),
    success,
    failure: asked.map((compare) => ({ request_range: toRead(keys, compare) })),
  }
}

function isAlwaysTrue(compare: Compare): boolean {
  return compare.kind === 'empty' && isVoid(compare.range)
}

function refusedRows(
  keys: EtcdKeys,
  commit: Commit,
  reads: readonly ResponseOp[],
): readonly (StoreRow | undefined)[] {
  let at = 0
  return commit.compares.map((compare) => {
    if (isAlwaysTrue(compare)) return undefined
    const found = reads[at++]?.response_range?.kvs?.[0]
    return found === undefined ? undefined : keys.row(found)
  })
}

function toFence(keys: EtcdKeys, { key, value }: EntryFence): EtcdCompare {
  const row = { key: keys.outside(key), result: RESULT.equal }
  if (value === undefined) return { ...row, target: TARGET.create, create_revision: 0 }
  return { ...row, target: TARGET.value, value }
}

function toCompare(keys: EtcdKeys, compare: Compare): EtcdCompare {
  if (compare.kind === 'empty') return allAbsent(keys, compare.range)
  const key = keys.outside(compare.key)
  if (compare.kind === 'absent')
    return { key, target: TARGET.create, result: RESULT.equal, create_revision: 0 }
  const revision = compare.kind === 'revision' ? compare.revision : compare.created
  // An absent row has revision 0 in etcd, and none with us: nothing is below 0.
  const result = revision > 0 ? RESULT.equal : RESULT.less
  if (compare.kind === 'revision')
    return { key, target: TARGET.mod, result, mod_revision: Math.max(0, revision) }
  return { key, target: TARGET.create, result, create_revision: Math.max(0, revision) }
}

/** Whatever is stored was created at a revision above 0. */
function allAbsent(keys: EtcdKeys, range: StoreRange): EtcdCompare {
  return { ...keys.range(range), target: TARGET.create, result: RESULT.equal, create_revision: 0 }
}

function toRead(keys: EtcdKeys, compare: Compare): { key: Buffer; range_end?: Buffer; limit?: number } {
  return compare.kind === 'empty'
    ? { ...keys.range(compare.range), limit: 1 }
    : { key: keys.outside(compare.key) }
}

function toPut(keys: EtcdKeys, { key, value, lease }: Put): PutRequest {
  const row = { key: keys.outside(key), value }
  return lease === undefined ? row : { ...row, lease: leaseNumber(lease) }
}

/** `SessionExpired` for an id that etcd cannot have given. */
export function leaseNumber(lease: LeaseId): number {
  const number = Number(lease)
  if (Number.isSafeInteger(number) && number > 0) return number
  throw new CairnError('SessionExpired', `lease ${lease} is none of this store`)
}
