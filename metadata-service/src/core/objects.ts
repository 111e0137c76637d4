/** Operations on objects. */
import {
  CairnError,
  type CopyObjectRequest,
  type CopyObjectResponse,
  type DeleteObjectsRequest,
  type DeleteObjectsResponse,
  type GetObjectRequest,
  type GetObjectResponse,
  type PutObjectRequest,
  type PutObjectResponse,
} from '@cairn/protocol'
import type { ObjectWorld } from './objects-attempts.js'
import { copyObject } from './objects-copy.js'
import { deleteObjects } from './objects-delete.js'
import { putObject } from './objects-put.js'
import { noSuchKey } from './preconditions.js'
import { checkKey, resolve } from './resolve.js'
import type { VersionRow } from './rows.js'
import { readKey, showVersion } from './versions.js'

/** Plain methods that take the request messages; errors as documented there. */
export class Objects {
  private readonly world: ObjectWorld

  constructor(world: ObjectWorld) {
    this.world = world
  }

  async put(request: PutObjectRequest): Promise<PutObjectResponse> {
    return putObject(this.world, request)
  }

  /** One request of the store, at one revision. */
  async get({ bucket, key, versionId }: GetObjectRequest): Promise<GetObjectResponse> {
    checkKey(key)
    const { state, found } = await readKey(this.world.resolver, bucket, key, versionId)
    const version = found?.version
    if (versionId === undefined && (version === undefined || version.deleteMarker)) throw noSuchKey(version)
    if (found === undefined) throw noSuchVersion(versionId)
    if (found.version.deleteMarker) throw versionIsMarker(found.version, versionId)
    return {
      object: showVersion(found.version, resolve(state.bucket, key), found.isCurrent),
      versioning: state.bucket.row.versioning,
    }
  }

  async delete(request: DeleteObjectsRequest): Promise<DeleteObjectsResponse> {
    return deleteObjects(this.world, request)
  }

  async copy(request: CopyObjectRequest): Promise<CopyObjectResponse> {
    return copyObject(this.world, request)
  }
}

function noSuchVersion(versionId = ''): CairnError {
  return new CairnError('NoSuchVersion', 'no such version', { details: { versionId } })
}

function versionIsMarker({ modifiedMs }: VersionRow, versionId = ''): CairnError {
  const details = { deleteMarker: 'true', versionId, modifiedMs: String(modifiedMs) }
  return new CairnError('VersionIsDeleteMarker', 'this version is a delete marker', { details })
}
