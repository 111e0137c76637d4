/**
 * Plans a change of a version's tags: id, time and blocks stay. Like every change of a key it compares and rewrites
 * `o/`, which remembers the operation, also where the version itself is in `v/`.
 */
import type { ObjectAttributes, Tag } from '@cairn/protocol'
import { currentKey, olderKey } from '../rows/keys.js'
import { APPLIED_MAX, VersionRow } from '../rows/rows.js'
import { changeOf, finishBatch, placeOf, proofByCurrent, startBatch } from './version-write.js'
import type { KeyState, PlannedCommit, StoredVersion, WriteStep } from './version-write-state.js'

/** Whose tags change. */
export interface TagTarget {
  /** The current version, or one in `v/`. */
  readonly target: VersionRow
  readonly isCurrent: boolean
  /** The key's row. */
  readonly current: StoredVersion
  readonly tags: readonly Tag[]
}

/** `state` must hold the row of `change.current`. */
export function planTagChange(state: KeyState, step: WriteStep, change: TagTarget): PlannedCommit {
  const { target, isCurrent, current, tags } = change
  const place = placeOf(state)
  const { seq, isNull } = target
  const applied = { seq, op: step.op, isNull, deleteMarker: false }
  const remembered = [...current.version.applied, applied]
  const tagged: VersionRow = { ...target, attributes: withTags(target.attributes, tags) }
  const row = { ...(isCurrent ? tagged : current.version), applied: remembered.slice(-APPLIED_MAX) }
  const batch = startBatch(state, {})
  batch.puts.push({ key: currentKey(place.space, place.key), value: VersionRow.encode(row) })
  if (!isCurrent) {
    const key = olderKey(place.space, place.key, target.seq, target.op)
    batch.puts.push({ key, value: VersionRow.encode(tagged) })
  }
  return {
    commit: finishBatch(batch, changeOf(state, step, seq, {}), proofByCurrent(place, step.op)),
    applied,
    forgotten: remembered.slice(0, -APPLIED_MAX),
  }
}

function withTags({ tags: _before, ...kept }: ObjectAttributes, tags: readonly Tag[]): ObjectAttributes {
  return tags.length === 0 ? kept : { ...kept, tags }
}
