/**
 * The one way in which versions come and go. These functions are pure: they take the rows that were read and
 * return the whole commit. Whoever applies it promises the compares; a refused commit is planned again from the
 * rows that the refusal brought.
 *
 * ● Every commit compares the bucket's row and the key's `o/` row, and rewrites or removes `o/`. So the `v/` rows
 * of a key change only together with `o/`, and need no compares of their own.
 * - A new version replaces the null version if it is one itself, wherever that one is; any other current version
 *   moves to `v/`.
 * - What is dropped goes to one `g/` row named by the operation; `o/` remembers the last operations on the key.
 *   Either one proves, after a lost answer, that the operation has happened.
 * - A removed current version gives way to the newest one in `v/`.
 */
import type { Draft, OpId } from '@cairn/protocol'
import type { Commit, CommitProof, Compare, Put, StoreKey } from '../../ports.js'
import { bucketKey, currentKey, garbageKey, olderKey } from '../rows/keys.js'
import {
  APPLIED_MAX,
  type AppliedOperation,
  GarbageRow,
  ObjectChange,
  type OlderPlace,
  VersionRow,
} from '../rows/rows.js'
import {
  birthplaceOf,
  hasBlocks,
  type KeyPlace,
  missingReference,
  REFERENCES_PER_COMMIT_MAX,
  referenceKeys,
  referencePuts,
} from './version-write-maps.js'
import {
  appliedOf,
  type CommitExtras,
  findApplied,
  type KeyState,
  nextSeq,
  type PlannedCommit,
  type PlannedVersion,
  type VersionContent,
  type WriteStep,
} from './version-write-state.js'

/** Where the null version is that a write in a suspended bucket must replace in `v/`. */
export function replacedOlderNull({ bucket, current }: KeyState): OlderPlace | undefined {
  return bucket.row.versioning === 'enabled' ? undefined : current?.version.olderNull
}

/**
 * Writes a version or marker over the current state of a key. `olderNull` is the version at
 * `replacedOlderNull(state)`, and must be given if there is one.
 */
export function planVersionWrite(
  state: KeyState,
  step: WriteStep,
  content: VersionContent,
  extras: CommitExtras & { readonly olderNull?: VersionRow } = {},
): PlannedVersion {
  const place = placeOf(state)
  const isNull = state.bucket.row.versioning !== 'enabled'
  const old = state.current?.version
  const replaced = isNull && old?.isNull === true ? old : undefined
  const superseded = replaced === undefined ? old : undefined
  const dropped = replaced ?? (isNull ? extras.olderNull : undefined)
  const remembered = old === undefined ? [] : [...old.applied, appliedOf(old)]
  const version = newVersion(state, step, content, remembered)

  const batch = startBatch(state, extras)
  batch.puts.push({ key: currentKey(place.space, place.key), value: VersionRow.encode(version) })
  batch.puts.push(...referencePuts(ownReferences(version), place))
  if (superseded !== undefined) moveToOlder(batch, superseded, place)
  if (dropped !== undefined && dropped !== replaced) {
    batch.deletes.push(olderKey(place.space, place.key, dropped.seq, dropped.op))
  }
  const applied = appliedOf(version)
  if (dropped !== undefined) dropVersion(batch, { state, step, applied, dropped, isProof: false })
  const change = { added: version, dropped }
  return {
    commit: finishBatch(batch, changeOf(state, step, applied.seq, change), proofByCurrent(place, step.op)),
    applied,
    forgotten: remembered.slice(0, -APPLIED_MAX),
    version,
  }
}

/** What a removal takes away and what it exposes. */
export interface VersionRemoval {
  /** The version to remove: the current one or one in `v/`. */
  readonly target: VersionRow
  readonly isCurrent: boolean
  /** The newest version in `v/`, when the current one is removed. */
  readonly next?: VersionRow
}

/** Removes one version or marker. */
export function planVersionRemoval(
  state: KeyState,
  step: WriteStep,
  removal: VersionRemoval,
  extras: CommitExtras = {},
): PlannedCommit {
  const { target } = removal
  const place = placeOf(state)
  const applied: AppliedOperation = {
    seq: nextSeq(state.current, step.nowMicros),
    op: step.op,
    isNull: target.isNull,
    deleteMarker: target.deleteMarker,
  }
  const batch = startBatch(state, extras)
  const remembered = rememberRemoval(state, removal, applied)
  const left = versionLeft(state, removal)
  const key = currentKey(place.space, place.key)
  if (left === undefined) batch.deletes.push(key)
  else
    batch.puts.push({ key, value: VersionRow.encode({ ...left, applied: remembered.slice(-APPLIED_MAX) }) })
  const leaver = removal.isCurrent ? removal.next : target
  if (leaver !== undefined) batch.deletes.push(olderKey(place.space, place.key, leaver.seq, leaver.op))
  dropVersion(batch, { state, step, applied, dropped: target, isProof: true })
  return {
    commit: finishBatch(
      batch,
      changeOf(state, step, applied.seq, { dropped: target }),
      proofByGarbage(applied),
    ),
    applied,
    forgotten: left === undefined ? remembered : remembered.slice(0, -APPLIED_MAX),
  }
}

/** A commit in the making. */
export interface Batch {
  readonly compares: Compare[]
  readonly puts: Put[]
  readonly deletes: StoreKey[]
}

/** Where the key's rows are. */
export function placeOf(state: KeyState): KeyPlace {
  return { space: state.bucket.row.space, key: state.key }
}

/** The compares of every change of a key: of its bucket's row and its own. */
export function startBatch(state: KeyState, extras: CommitExtras): Batch {
  const key = currentKey(state.bucket.row.space, state.key)
  const ofKey: Compare =
    state.current === undefined
      ? { kind: 'absent', key }
      : { kind: 'revision', key, revision: state.current.revision }
  const ofBucket: Compare = {
    kind: 'revision',
    key: bucketKey(state.bucket.name),
    revision: state.bucket.revision,
  }
  return {
    compares: [ofBucket, ofKey, ...(extras.compares ?? [])],
    puts: [...(extras.puts ?? [])],
    deletes: [...(extras.deletes ?? [])],
  }
}

/** The commit with its change record. */
export function finishBatch(
  batch: Batch,
  change: ObjectChange,
  proof: CommitProof,
): Commit & { readonly proof: CommitProof } {
  const { compares, puts, deletes } = batch
  return { compares, puts, deletes, changes: [ObjectChange.encode(change)], proof }
}

function newVersion(
  { bucket, current }: KeyState,
  step: WriteStep,
  content: VersionContent,
  remembered: readonly AppliedOperation[],
): VersionRow {
  const isNull = bucket.row.versioning !== 'enabled'
  const olderNull = olderNullAfter(current?.version, isNull)
  const { checksum, map, mapId, partChecksums } = content
  // Field by field: spreading so many costs 3 KiB of memory for each write.
  const version: Draft<VersionRow> = {
    seq: nextSeq(current, step.nowMicros),
    op: step.op,
    isNull,
    deleteMarker: content.deleteMarker,
    modifiedMs: Math.floor(step.nowMicros / 1000),
    sizeBytes: content.sizeBytes,
    etag: content.etag,
    owner: content.owner,
    attributes: content.attributes,
    parts: content.parts,
    references: content.references,
    applied: remembered.slice(-APPLIED_MAX),
  }
  if (checksum !== undefined) version.checksum = checksum
  if (map !== undefined) version.map = map
  if (mapId !== undefined) version.mapId = mapId
  if (partChecksums !== undefined) version.partChecksums = partChecksums
  if (olderNull !== undefined) version.olderNull = olderNull
  return version
}

/** A new null version replaces the older one; else it stays where it is, or moves there now. */
function olderNullAfter(old: VersionRow | undefined, isNull: boolean): OlderPlace | undefined {
  if (isNull || old === undefined) return undefined
  return old.isNull ? { seq: old.seq, op: old.op } : old.olderNull
}

/** References under the version's own id: those under an upload's id stand already. */
function ownReferences(version: VersionRow): VersionRow['references'] {
  return version.references.filter(({ referrer }) => referrer.length > version.op.length)
}

function moveToOlder(batch: Batch, version: VersionRow, place: KeyPlace): void {
  const missing = missingReference(version, place)
  const references = missing === undefined ? version.references : [...version.references, missing]
  const { olderNull: _olderNull, ...rest } = version
  const value = VersionRow.encode({ ...rest, references, applied: [] })
  batch.puts.push({ key: olderKey(place.space, place.key, version.seq, version.op), value })
  if (missing !== undefined) batch.puts.push(...referencePuts([missing], place))
}

interface Drop {
  readonly state: KeyState
  readonly step: WriteStep
  readonly applied: AppliedOperation
  readonly dropped: VersionRow
  /** The row must be written even if there is nothing to free. */
  readonly isProof: boolean
}

function dropVersion(batch: Batch, { state, step, applied, dropped, isProof }: Drop): void {
  const isFreeing = hasBlocks(dropped.map) || dropped.references.length > 0
  if (!isFreeing && !isProof) return
  const place = placeOf(state)
  const birth = birthplaceOf(dropped, place)
  const deletesReferences = dropped.references.length <= REFERENCES_PER_COMMIT_MAX
  if (deletesReferences) batch.deletes.push(...referenceKeys(dropped.references))
  const row: GarbageRow = {
    kind: isFreeing ? 'version' : 'nothing',
    op: step.op,
    droppedMicros: step.nowMicros,
    space: place.space,
    key: place.key,
    dropped: appliedOf(dropped),
    birthSpace: birth.space,
    birthKey: birth.key,
    references: dropped.references,
    hasReferences: !deletesReferences,
    freed: false,
    listedParts: [],
    ...(dropped.map === undefined ? {} : { map: dropped.map }),
    ...(dropped.mapId === undefined ? {} : { mapId: dropped.mapId }),
  }
  batch.puts.push({ key: garbageKey(applied.seq, step.op), value: GarbageRow.encode(row) })
}

/** The `o/` row after a removal, but for what it remembers. */
function versionLeft({ current }: KeyState, removal: VersionRemoval): VersionRow | undefined {
  const old = current?.version
  const left = removal.isCurrent ? removal.next : old
  if (left === undefined) return undefined
  const { olderNull: _olderNull, ...rest } = left
  const isNullStillOlder = !left.isNull && !removal.target.isNull
  return isNullStillOlder && old?.olderNull !== undefined ? { ...rest, olderNull: old.olderNull } : rest
}

function rememberRemoval(
  { current }: KeyState,
  removal: VersionRemoval,
  applied: AppliedOperation,
): AppliedOperation[] {
  return [...(current?.version.applied ?? []), appliedOf(removal.target), applied]
}

/** What followers are told of a step. */
export function changeOf(
  { bucket, key }: KeyState,
  step: WriteStep,
  seq: number,
  { added, dropped }: { added?: VersionRow; dropped?: VersionRow | undefined },
): ObjectChange {
  return {
    kind: step.kind,
    bucket: bucket.name,
    space: bucket.row.space,
    key,
    seq,
    op: step.op,
    addedBytes: added?.sizeBytes ?? 0,
    droppedBytes: dropped?.sizeBytes ?? 0,
    addedVersions: added === undefined ? 0 : 1,
    droppedVersions: dropped === undefined ? 0 : 1,
  }
}

/** The key's row remembers the operation. */
export function proofByCurrent(place: KeyPlace, op: OpId): CommitProof {
  return {
    keys: [currentKey(place.space, place.key)],
    carries: ([row]) => row !== undefined && findApplied(VersionRow.decode(row.value), op) !== undefined,
  }
}

function proofByGarbage({ seq, op }: AppliedOperation): CommitProof {
  return { keys: [garbageKey(seq, op)], carries: ([row]) => row !== undefined }
}
