/** What a version write starts from and what it plans: shared by all who change keys. */
import { type OpId, sameBytes } from '@cairn/protocol'
import type { Commit, CommitProof, Compare, Put, StoreKey, StoreRow } from '../../ports.js'
import { type AppliedOperation, type BucketRow, type ObjectChangeKind, VersionRow } from '../rows/rows.js'

/** A version with the revision of its row. */
export interface StoredVersion {
  readonly version: VersionRow
  readonly revision: number
}

/** What was read of a bucket. */
export interface StoredBucket {
  readonly name: string
  readonly row: BucketRow
  readonly revision: number
}

/** What was read of one key. */
export interface KeyState {
  readonly bucket: StoredBucket
  readonly key: string
  /** The `o/` row. */
  readonly current: StoredVersion | undefined
}

/** Who acts, and when. */
export interface WriteStep {
  readonly kind: ObjectChangeKind
  readonly op: OpId
  readonly nowMicros: number
}

/** What the caller knows of a new version; the rest follows from the state of the key. */
export type VersionContent = Pick<
  VersionRow,
  'deleteMarker' | 'sizeBytes' | 'etag' | 'owner' | 'attributes' | 'parts' | 'references'
> &
  Pick<Partial<VersionRow>, 'checksum' | 'map' | 'mapId' | 'partChecksums'>

/** Rows that belong into the same commit. Their compares come after those of bucket and key. */
export interface CommitExtras {
  readonly compares?: readonly Compare[]
  readonly puts?: readonly Put[]
  readonly deletes?: readonly StoreKey[]
}

/** A commit with its proof, and what it will have done. */
export interface PlannedCommit {
  readonly commit: Commit & { readonly proof: CommitProof }
  readonly applied: AppliedOperation
  /** Operations that no row of the key remembers any more after this commit. */
  readonly forgotten: readonly AppliedOperation[]
}

/** A version write: also says how the version looks. */
export interface PlannedVersion extends PlannedCommit {
  readonly version: VersionRow
}

/** Decodes what a `get` of an `o/` or `v/` row gave. */
export function storedVersion(row: StoreRow | undefined): StoredVersion | undefined {
  return row === undefined ? undefined : { version: VersionRow.decode(row.value), revision: row.revision }
}

/** max(the key's last seq + 1, clock): a slow clock never sorts a new version below an older one. */
export function nextSeq(current: StoredVersion | undefined, nowMicros: number): number {
  return current === undefined ? nowMicros : Math.max(lastSeq(current.version) + 1, nowMicros)
}

/** The first result of an operation, if the key's row remembers that it has happened. */
export function findApplied(version: VersionRow | undefined, op: OpId): AppliedOperation | undefined {
  if (version === undefined) return undefined
  if (sameBytes(version.op, op)) return appliedOf(version)
  return version.applied.find((applied) => sameBytes(applied.op, op))
}

/** What stays remembered of a version's write. */
export function appliedOf({ seq, op, isNull, deleteMarker }: VersionRow): AppliedOperation {
  return { seq, op, isNull, deleteMarker }
}

function lastSeq(version: VersionRow): number {
  let last = version.seq
  for (const { seq } of version.applied) if (seq > last) last = seq
  return last
}
