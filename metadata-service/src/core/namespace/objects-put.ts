/** Puts an object whose blocks are stored already, in one commit. */
import {
  CairnError,
  type Draft,
  type PutObjectRequest,
  type PutObjectResponse,
  sameBytes,
} from '@cairn/protocol'
import {
  type ObjectWorld,
  stateOfRefusal,
  type WriteAttempts,
  writeKey,
} from '../attempts/objects-attempts.js'
import { createWriter } from '../attempts/objects-writer.js'
import type { WriterClaim } from '../attempts/writer-guard.js'
import { currentKey } from '../rows/keys.js'
import { checkMap } from '../versions/map-check.js'
import { checkPreconditions, hasPreconditions } from '../versions/preconditions.js'
import { checkKey } from '../versions/resolve.js'
import { planVersionWrite, replacedOlderNull } from '../versions/version-write.js'
import { dirtyPuts } from '../versions/version-write-extras.js'
import { hasBlocks } from '../versions/version-write-maps.js'
import type { KeyState, PlannedVersion, VersionContent } from '../versions/version-write-state.js'
import { olderNullOf, readState, writtenAt, writtenId } from './objects-state.js'

/** `NoSuchBucket` (also when the bucket was made anew), `SessionExpired`, `StaleClusterMap`, failed preconditions. */
export async function putObject(world: ObjectWorld, request: PutObjectRequest): Promise<PutObjectResponse> {
  checkKey(request.key)
  checkMap(request.map, request.sizeBytes)
  const row = currentKey(request.space, request.key)
  return world.locks.run(row, () => writeKey(world, putAttempts(world, request)))
}

function putAttempts(
  world: ObjectWorld,
  request: PutObjectRequest,
): WriteAttempts<PlannedVersion, PutObjectResponse> {
  const { bucket, space, key, context, preconditions, map } = request
  const writer = createWriter(world, claimOf(request))
  return {
    op: context.op,
    hasPreconditions: hasPreconditions(preconditions),
    async load(refused) {
      const state =
        refused === undefined
          ? await readState(world, bucket, key, space)
          : stateOfRefusal(bucket, key, refused)
      requireSpace(state, space)
      return state
    },
    explain: (refused) => writer.explain(refused),
    repeat: (applied, state) => ({
      ...writtenId(applied, state),
      modifiedMs: writtenAt(applied, state),
    }),
    async plan(state) {
      checkPreconditions(preconditions, state.current?.version)
      if (world.evidence !== undefined) await world.evidence.put(request)
      const step = { kind: 'put', op: context.op, nowMicros: world.clock.wallMicros() } as const
      const extras = {
        compares: await writer.compares(),
        puts: dirtyPuts(map.pool, context.dirtyGroups, step),
      }
      const older = replacedOlderNull(state) === undefined ? {} : await olderNullOf(world, state)
      return { plan: planVersionWrite(state, step, contentOf(request), { ...extras, ...older }) }
    },
    result: putResult,
  }
}

/** What a put answers. */
export function putResult({ version }: PlannedVersion, state: KeyState): PutObjectResponse {
  return { ...writtenId(version, state), modifiedMs: version.modifiedMs }
}

/** What the writer of a put claims. */
export function claimOf({ context, map }: PutObjectRequest, isFenced = false): WriterClaim {
  const { session, poolEpoch } = context
  return { session, pool: hasBlocks(map) ? { id: map.pool, epoch: poolEpoch } : undefined, isFenced }
}

/** The version that a put makes. */
export function contentOf(request: PutObjectRequest): VersionContent {
  const { sizeBytes, etag, owner, attributes, checksum, map, context } = request
  const content: Draft<VersionContent> = {
    deleteMarker: false,
    sizeBytes,
    etag,
    owner,
    attributes,
    parts: [],
    references: [],
    map,
  }
  if (checksum !== undefined) content.checksum = checksum
  if (hasBlocks(map)) content.mapId = context.op
  return content
}

/** A bucket of the same name, made after the blocks were written, is another one: `NoSuchBucket`. */
export function requireSpace({ bucket }: Pick<KeyState, 'bucket'>, space: Uint8Array): void {
  if (!sameBytes(bucket.row.space, space)) {
    throw new CairnError('NoSuchBucket', `bucket ${bucket.name} was made anew`)
  }
}
