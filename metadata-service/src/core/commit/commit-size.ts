/** How much of an entry a commit takes. */
import { CairnError } from '@cairn/protocol'
import type { Commit } from '../../ports.js'
import {
  ALWAYS_BYTES_MAX,
  ALWAYS_OPERATIONS_MAX,
  COMMIT_OPERATIONS_MAX,
  ENTRY_BYTES_MAX,
  OPERATION_OVERHEAD_BYTES,
  PATH_OPERATIONS_MAX,
} from './commit-limits.js'

/** `operations` is the depth of the commit's branch: its compares or its writes, whichever are more. */
export interface CommitSize {
  readonly operations: number
  readonly bytes: number
}

/** `MessageTooLarge` when the commit would not fit an entry of its own. */
export function sizeOf(commit: Commit): CommitSize {
  const size = { operations: operationsOf(commit), bytes: bytesOf(commit) }
  if (size.operations > COMMIT_OPERATIONS_MAX) {
    throw new CairnError('MessageTooLarge', `a commit of ${size.operations} operations`)
  }
  if (size.bytes > ENTRY_BYTES_MAX - ALWAYS_BYTES_MAX) {
    throw new CairnError('MessageTooLarge', `a commit of ${size.bytes} bytes`)
  }
  return size
}

function operationsOf(commit: Commit): number {
  const writes =
    (commit.puts?.length ?? 0) + (commit.deletes?.length ?? 0) + (commit.deleteRanges?.length ?? 0)
  return Math.max(commit.compares.length, writes)
}

/** The else branch reads what is compared, so compared keys count twice. */
function bytesOf(commit: Commit): number {
  let bytes = OPERATION_OVERHEAD_BYTES
  for (const compare of commit.compares) {
    const keyBytes =
      compare.kind === 'empty' ? compare.range.from.length + compare.range.to.length : compare.key.length
    bytes += 2 * (keyBytes + OPERATION_OVERHEAD_BYTES)
  }
  for (const put of commit.puts ?? []) bytes += put.key.length + put.value.length + OPERATION_OVERHEAD_BYTES
  for (const key of commit.deletes ?? []) bytes += key.length + OPERATION_OVERHEAD_BYTES
  for (const range of commit.deleteRanges ?? []) {
    bytes += range.from.length + range.to.length + OPERATION_OVERHEAD_BYTES
  }
  for (const change of commit.changes ?? []) bytes += change.length + OPERATION_OVERHEAD_BYTES
  return bytes
}

/** What is left of one entry while it is being filled. */
export class EntryRoom {
  private branches = 0
  private depth = 0
  private bytes = ALWAYS_BYTES_MAX

  /** No further commit fits, however small. */
  get isFull(): boolean {
    return this.branches + 1 + ALWAYS_OPERATIONS_MAX + this.depth > PATH_OPERATIONS_MAX
  }

  /** Whether the commit still fits; if so, it is counted in. */
  take(size: CommitSize): boolean {
    const depth = Math.max(this.depth, size.operations)
    const operations = this.branches + 1 + ALWAYS_OPERATIONS_MAX + depth
    const bytes = this.bytes + size.bytes
    if (operations > PATH_OPERATIONS_MAX || bytes > ENTRY_BYTES_MAX) return false
    this.branches++
    this.depth = depth
    this.bytes = bytes
    return true
  }
}
