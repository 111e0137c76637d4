/** Every method that changes buckets or objects, as a request in a world with something to change. */
import type { RpcMethod, UploadInfo } from '@cairn/protocol'
import * as protocol from '@cairn/protocol'
import type { PausableService, SeveralServices } from '../several-services.js'

export type Made = { readonly request: object; readonly method: RpcMethod<object, unknown> }

/** Makes a request in a world with bucket `b`, object `k` and an open upload. */
export type Maker = (world: SeveralServices, at: PausableService, upload: UploadInfo) => Promise<Made>

export const of = (method: unknown, request: object): Made => ({
  method: method as RpcMethod<object, unknown>,
  request,
})

/** A put of an object that is not there yet. */
export async function put(world: SeveralServices, at: PausableService, key: string): Promise<object> {
  const op = world.op()
  return {
    context: { session: world.session, op, poolEpoch: 0, dirtyGroups: [] },
    bucket: 'b',
    space: await world.bucketSpace(at),
    key,
    map: { pool: 1, slices: [], pages: [] },
    sizeBytes: 0,
    etag: 'e',
    owner: 'o',
    attributes: {},
  }
}

export const makePut: Maker = async (world, at) => of(protocol.putObject, await put(world, at, 'fresh'))

export const nameOf = ({ uploadId, key }: UploadInfo): object => ({ bucket: 'b', key, uploadId })

/** Changes of the namespace: each is fenced by its session. */
export const CHANGES: Readonly<Record<string, Maker>> = {
  CreateBucket: async (world) =>
    of(protocol.createBucket, { op: world.op(), bucket: 'new', owner: 'o', region: 'r' }),
  DeleteBucket: async (world) => of(protocol.deleteBucket, { op: world.op(), bucket: 'empty' }),
  SetBucketVersioning: async (world) =>
    of(protocol.setBucketVersioning, { op: world.op(), bucket: 'b', versioning: 'enabled' }),
  SetBucketConfiguration: async (world) =>
    of(protocol.setBucketConfiguration, {
      op: world.op(),
      bucket: 'b',
      kind: 'cors',
      document: Buffer.from('1'),
    }),
  PutObject: makePut,
  DeleteObjects: async (world) =>
    of(protocol.deleteObjects, { bucket: 'b', owner: 'o', items: [{ op: world.op(), key: 'k' }] }),
  CopyObject: async (world) =>
    of(protocol.copyObject, {
      context: { session: world.session, op: world.op(), poolEpoch: 0, dirtyGroups: [] },
      source: { bucket: 'b', key: 'k', etag: 'e' },
      bucket: 'b',
      key: 'copy',
      owner: 'o',
    }),
  SetObjectTags: async (world) =>
    of(protocol.setObjectTags, { op: world.op(), bucket: 'b', key: 'k', tags: [{ key: 'a', value: 'b' }] }),
  CreateUpload: async (world) =>
    of(protocol.createUpload, { op: world.op(), bucket: 'b', key: 'up', owner: 'o', attributes: {} }),
  PutPart: async (world, at, upload) => {
    const {
      space: _space,
      key: _key,
      owner: _owner,
      attributes: _attributes,
      ...rest
    } = (await put(world, at, 'up')) as Record<string, unknown>
    return of(protocol.putPart, { ...rest, ...nameOf(upload), partNumber: 1 })
  },
  FreezeUpload: async (world, _at, upload) =>
    of(protocol.freezeUpload, { ...nameOf(upload), op: world.op() }),
  ThawUpload: async (world, _at, upload) => of(protocol.thawUpload, { ...nameOf(upload), op: world.op() }),
  AbortUpload: async (world, _at, upload) => of(protocol.abortUpload, { ...nameOf(upload), op: world.op() }),
  CompleteUpload: async (world, at, upload) => {
    const op = world.op()
    await world.call(at, protocol.freezeUpload, { ...nameOf(upload), op } as never)
    return of(protocol.completeUpload, {
      context: { session: world.session, op, poolEpoch: 0, dirtyGroups: [] },
      ...nameOf(upload),
      map: { pool: 1, slices: [], pages: [] },
      sizeBytes: 0,
      etag: 'e',
      parts: [{ firstNumber: 1, count: 1, sizeBytes: 0 }],
      listHash: 'h',
    })
  },
}

/** The outcome in a word: the code of the error, or `done`. */
export function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? 'error',
  )
}
