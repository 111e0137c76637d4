/** Replaces the tags of a version that exists. */
import {
  CairnError,
  type SetObjectTagsRequest,
  type SetObjectTagsResponse,
  type VersioningState,
} from '@cairn/protocol'
import { type ObjectWorld, type WriteAttempts, writeKey } from '../attempts/objects-attempts.js'
import { currentKey } from '../rows/keys.js'
import type { AppliedOperation, VersionRow } from '../rows/rows.js'
import { shownVersionId } from '../versions/preconditions.js'
import { checkKey } from '../versions/resolve.js'
import type { KeyState, PlannedCommit } from '../versions/version-write-state.js'
import { planTagChange } from '../versions/version-write-tags.js'
import { type KeyRead, readKey } from '../versions/versions.js'
import { requireVersion } from './objects-get.js'

/** Errors as of GetObject. A repeat with the same op changes nothing. */
export async function setObjectTags(
  world: ObjectWorld,
  request: SetObjectTagsRequest,
): Promise<SetObjectTagsResponse> {
  checkKey(request.key)
  const { row } = await world.resolver.bucket(request.bucket)
  const lock = currentKey(row.space, request.key)
  return world.locks.run(lock, () => writeKey(world, tagAttempts(world, request)))
}

function tagAttempts(
  world: ObjectWorld,
  request: SetObjectTagsRequest,
): WriteAttempts<PlannedCommit, SetObjectTagsResponse> {
  const { op, bucket, key, versionId, tags } = request
  let found: KeyRead['found']
  return {
    op,
    hasPreconditions: false,
    traceIn: () => 'tags',
    async load() {
      const read = await readKey(world.resolver, bucket, key, versionId)
      found = read.found
      return read.state
    },
    repeat: (applied, state) => repeatedAnswer(request, applied, state),
    async plan(state) {
      const { version: target, isCurrent } = requireVersion(found, versionId)
      const { current } = state
      if (current === undefined) throw new CairnError('Internal', 'a version without a current row')
      const step = { kind: 'tags', op, nowMicros: world.clock.wallMicros() } as const
      return { plan: planTagChange(state, step, { target, isCurrent, current, tags }) }
    },
    result: (_plan, { bucket: { row } }) => answerOf(row.versioning, found?.version),
  }
}

function answerOf(versioning: VersioningState, version: VersionRow | undefined): SetObjectTagsResponse {
  return versioning === 'unset' || version === undefined ? {} : { versionId: shownVersionId(version) }
}

/** The current version that was tagged may have been superseded since; its id is then not known any more. */
function repeatedAnswer(
  { versionId }: SetObjectTagsRequest,
  { seq }: AppliedOperation,
  { bucket, current }: KeyState,
): SetObjectTagsResponse {
  if (versionId !== undefined && bucket.row.versioning !== 'unset') return { versionId }
  return answerOf(bucket.row.versioning, current?.version.seq === seq ? current.version : undefined)
}
