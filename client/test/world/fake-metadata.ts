/** A metadata service in memory, with faults: enough for the client, and no more. */
import {
  abortUpload,
  type BlockMap,
  CairnError,
  type Clock,
  type ClusterMap,
  type ClusterStatus,
  type CompletedUpload,
  closeSession,
  completeUpload,
  copyObject,
  createBucket,
  createRouter,
  createUpload,
  type DeleteObjectsRequest,
  type DeleteOutcome,
  deleteBucket,
  deleteObjects,
  formatId,
  freezeUpload,
  getBucket,
  getClusterMap,
  getObject,
  getStatus,
  getUpload,
  listBuckets,
  listObjects,
  listParts,
  moveSession,
  type ObjectVersion,
  type OpId,
  openSession,
  type PartInfo,
  type PutPartRequest,
  putObject,
  putPart,
  type ReportSpeedsRequest,
  type RpcMethod,
  type RpcRouterTable,
  renewSession,
  reportSpeeds,
  type SessionId,
  type SpaceId,
  type StoreSpace,
  type UploadInfo,
  type WriteContext,
} from '@cairn/protocol'

interface Upload {
  readonly info: UploadInfo
  readonly bucket: string
  readonly parts: Map<number, PartInfo>
  frozenBy?: string
  completed?: CompletedUpload
}

export class FakeMetadata {
  map: ClusterMap
  leaseMs = 10_000
  /** Repeats are answered as by a service that cannot tell whether the first attempt has happened. */
  forgetsAttempts = false
  storeTrouble: string | undefined
  space: readonly StoreSpace[] = []
  readonly buckets: Map<string, SpaceId> = new Map()
  readonly objects: Map<string, ObjectVersion> = new Map()
  readonly uploads: Map<string, Upload> = new Map()
  readonly sessions: Map<string, { expiresMs: number }> = new Map()
  readonly closedSessions: string[] = []
  /** Calls by method name. */
  readonly calls: Record<string, number> = {}
  readonly ops: string[] = []
  readonly contexts: WriteContext[] = []
  readonly partRequests: PutPartRequest[] = []
  readonly speeds: ReportSpeedsRequest[] = []
  readonly deleteRequests: DeleteObjectsRequest[] = []
  /** What deletes of a key come to, one after the other; then they succeed. */
  readonly deleteRefusals: Map<string, Omit<DeleteOutcome, 'deleteMarker'>[]> = new Map()
  /** So many changes happen, but their answer is lost. */
  answersToLose = 0
  busy = 0
  /** The store takes no more entries. */
  failed = false
  /** Objects are at hand for clients in the same process. */
  readonly answersNow: boolean
  /** Called before a commit is looked at. */
  beforeCommit: (() => void) | undefined
  beforeDeletes: (() => void) | undefined
  renewals = true
  private readonly results = new Map<string, unknown>()
  private readonly clock: Clock
  private counter = 0

  constructor(map: ClusterMap, clock: Clock, answersNow = false) {
    this.map = map
    this.answersNow = answersNow
    this.clock = clock
  }

  get router(): RpcRouterTable {
    const router = createRouter()
    const handle = <Q, R>(method: RpcMethod<Q, R>, answer: (request: Q) => R): void => {
      const handler = async (request: Q): Promise<{ response: R }> => {
        this.calls[method.name] = (this.calls[method.name] ?? 0) + 1
        return { response: answer(request) }
      }
      const isAtHand = method.number === getObject.number && this.answersNow
      router.handle(
        method,
        handler,
        isAtHand ? (request) => ({ response: answer(request), units: [] }) : undefined,
      )
    }
    this.serveSessions(handle)
    this.serveObjects(handle)
    this.serveUploads(handle)
    return router
  }

  private serveSessions(handle: Handle): void {
    handle(reportSpeeds, (request) => {
      this.speeds.push(request)
      return { epoch: this.map.epoch }
    })
    handle(getClusterMap, ({ knownEpoch }) => (knownEpoch === this.map.epoch ? {} : { map: this.map }))
    handle(getStatus, () => this.status())
    handle(openSession, () => {
      const session = this.nextId(8) as SessionId
      this.sessions.set(formatId(session), { expiresMs: this.clock.monotonicMs() + this.leaseMs })
      return { session, leaseMs: this.leaseMs }
    })
    handle(renewSession, ({ session }) => {
      if (!this.renewals) throw new CairnError('ConnectionLost', 'as the test wants it')
      this.liveSession(session).expiresMs = this.clock.monotonicMs() + this.leaseMs
      return {}
    })
    handle(moveSession, ({ session, route }) => {
      this.liveSession(session)
      if (this.failed) throw new CairnError('DriveFailed', 'the store has failed')
      return { route: route + 1, nowMicros: 0 }
    })
    handle(closeSession, ({ session }) => {
      this.sessions.delete(formatId(session))
      this.closedSessions.push(formatId(session))
      return {}
    })
  }

  private status(): ClusterStatus {
    const { clusterId, incarnation, epoch, members } = this.map
    const drives = this.map.drives.map((drive) => ({ ...drive, path: '' }))
    const counts = { underReplicated: 0, unavailable: 0, dirtyGroups: 0, failures: 0 }
    const done = { blocksRepaired: 0, bytesRepaired: 0, comparing: false, blocksCompared: 0 }
    const repair = { ...counts, ...done, blocksToCompare: 0 }
    const flags = { safeMode: false, garbageHeld: false, garbageBytes: 0 }
    const { storeTrouble, space } = this
    const trouble = storeTrouble === undefined ? {} : { storeTrouble }
    return { clusterId, incarnation, epoch, members, drives, repair, ...flags, space, ...trouble }
  }

  private serveObjects(handle: Handle): void {
    handle(listBuckets, () => ({ buckets: [], truncated: false }))
    handle(createBucket, ({ op, bucket }) =>
      this.once(op, () => {
        if (this.buckets.has(bucket)) throw new CairnError('BucketAlreadyExists', bucket)
        this.buckets.set(bucket, this.nextId(8) as SpaceId)
        return this.bucketInfo(bucket)
      }),
    )
    handle(getBucket, ({ bucket }) => this.bucketInfo(bucket))
    handle(deleteBucket, ({ op, bucket }) =>
      this.once(op, () => {
        this.buckets.delete(bucket)
        return {}
      }),
    )
    handle(putObject, (request) =>
      this.commit(request.context, request.map.pool, () => {
        if (formatId(this.bucketInfo(request.bucket).space) !== formatId(request.space)) {
          throw new CairnError('NoSuchBucket', 'another life of the bucket')
        }
        const { bucket, key, sizeBytes, etag, checksum, map } = request
        this.store(bucket, {
          key,
          sizeBytes,
          etag,
          map,
          mapId: request.context.op,
          ...(checksum && { checksum }),
        })
        return { modifiedMs: 1 }
      }),
    )
    handle(getObject, ({ bucket, key }) => ({ object: this.find(bucket, key), versioning: 'unset' }))
    handle(copyObject, ({ context, source, bucket, key }) =>
      this.commit(context, 1, () => {
        const found = this.find(source.bucket, source.key)
        if (found.etag !== source.etag) throw new CairnError('PreconditionFailed', 'changed')
        this.store(bucket, { ...found, key })
        return { modifiedMs: 1, etag: found.etag }
      }),
    )
    handle(deleteObjects, (request) => {
      this.beforeDeletes?.()
      this.bucketInfo(request.bucket)
      this.deleteRequests.push(request)
      return { outcomes: request.items.map(({ key }) => this.deleteItem(request.bucket, key)) }
    })
    handle(listObjects, ({ bucket, prefix, after, limit }) => {
      const all = [...this.objects.entries()].filter(([name]) => name.startsWith(`${bucket}/${prefix}`))
      const keys = all.map(([, object]) => object).filter(({ key }) => key > after)
      const page = keys.sort((a, b) => (a.key < b.key ? -1 : 1)).slice(0, limit)
      const objects = page.map((object) => ({
        ...object,
        storageClass: undefined,
        checksum: object.checksum,
      }))
      const truncated = keys.length > limit
      return { objects, commonPrefixes: [], truncated, next: objects.at(-1)?.key ?? '' }
    })
  }

  private serveUploads(handle: Handle): void {
    handle(createUpload, (request) =>
      this.once(request.op, () => {
        const { key, owner, attributes, op } = request
        const uploadId = `${'0'.repeat(16)}${formatId(op)}`
        const { checksumAlgorithm, checksumType } = request
        const info = { uploadId, key, initiatedMs: 1, owner, attributes }
        const checksum = {
          ...(checksumAlgorithm && { checksumAlgorithm }),
          ...(checksumType && { checksumType }),
        }
        const upload = { info: { ...info, ...checksum }, bucket: request.bucket, parts: new Map() }
        this.uploads.set(uploadId, upload)
        return upload.info
      }),
    )
    handle(getUpload, ({ uploadId }) => {
      const { info, bucket } = this.openUpload(uploadId)
      return { upload: info, space: this.bucketInfo(bucket).space }
    })
    handle(putPart, (request) =>
      this.commit(request.context, request.map.pool, () => {
        this.partRequests.push(request)
        const upload = this.openUpload(request.uploadId)
        if (upload.frozenBy !== undefined) throw new CairnError('NoSuchUpload', 'frozen')
        const { partNumber, sizeBytes, etag, map, checksum } = request
        const part = {
          partNumber,
          sizeBytes,
          etag,
          modifiedMs: 1,
          map: keep(map),
          ...(checksum && { checksum }),
        }
        upload.parts.set(partNumber, part)
        return part
      }),
    )
    handle(listParts, ({ uploadId, afterPart, limit, withMaps }) => {
      const upload = this.openUpload(uploadId)
      const all = [...upload.parts.values()].sort((a, b) => a.partNumber - b.partNumber)
      const later = all.filter(({ partNumber }) => partNumber > afterPart)
      const parts = later
        .slice(0, limit)
        .map(({ map, ...part }) => (withMaps && map ? { ...part, map } : part))
      return { upload: upload.info, parts, truncated: later.length > limit }
    })
    handle(freezeUpload, ({ uploadId, op }) => {
      const upload = this.uploads.get(uploadId)
      if (upload === undefined) throw new CairnError('NoSuchUpload', uploadId)
      const answer = { upload: upload.info, space: this.bucketInfo(upload.bucket).space }
      if (upload.completed !== undefined) return { ...answer, completed: upload.completed }
      upload.frozenBy = formatId(op)
      return answer
    })
    handle(completeUpload, (request) =>
      this.commit(request.context, request.map.pool, () => {
        const upload = this.openUpload(request.uploadId)
        if (upload.frozenBy !== formatId(request.context.op))
          throw new CairnError('NoSuchUpload', 'overtaken')
        const { bucket, key, sizeBytes, etag, map, checksum, listHash, parts } = request
        this.store(bucket, { key, sizeBytes, etag, map, parts, ...(checksum && { checksum }) })
        upload.completed = { etag, listHash, ...(checksum && { checksum }) }
        return upload.completed
      }),
    )
    handle(abortUpload, ({ uploadId }) => {
      this.openUpload(uploadId)
      this.uploads.delete(uploadId)
      return {}
    })
  }

  object(name: string): ObjectVersion | undefined {
    return this.objects.get(name)
  }

  private commit<R>(context: WriteContext, poolId: number, apply: () => R): R {
    this.beforeCommit?.()
    if (this.busy > 0) {
      this.busy--
      throw new CairnError('Busy', 'as the test wants it')
    }
    this.ops.push(formatId(context.op))
    return this.once(context.op, () => {
      this.contexts.push({ ...context, dirtyGroups: [...context.dirtyGroups] })
      this.liveSession(context.session)
      const pool = this.map.pools.find(({ id }) => id === poolId)
      if (pool?.epoch !== context.poolEpoch) throw new CairnError('StaleClusterMap', 'another epoch')
      return apply()
    })
  }

  private once<R>(op: OpId, apply: () => R): R {
    const name = formatId(op)
    if (this.forgetsAttempts && this.results.has(name)) {
      throw new CairnError('OutcomeUnknown', 'nobody can tell', { details: { settled: 'never' } })
    }
    if (!this.results.has(name)) this.results.set(name, apply())
    if (this.answersToLose > 0) {
      this.answersToLose--
      throw new CairnError('OutcomeUnknown', 'the answer is lost')
    }
    return this.results.get(name) as R
  }

  private store(bucket: string, content: Partial<ObjectVersion> & { key: string; map?: BlockMap }): void {
    const facts = { versionId: 'null', isLatest: true, deleteMarker: false, modifiedMs: 1, owner: '' }
    const rest = { sizeBytes: 0, etag: '', attributes: {}, parts: [] }
    const map = content.map && keep(content.map)
    this.objects.set(`${bucket}/${content.key}`, { ...facts, ...rest, ...content, ...(map && { map }) })
  }

  private deleteItem(bucket: string, key: string): DeleteOutcome {
    const refusal = this.deleteRefusals.get(key)?.shift()
    if (refusal !== undefined) return { deleteMarker: false, ...refusal }
    this.objects.delete(`${bucket}/${key}`)
    return { deleteMarker: false }
  }

  private find(bucket: string, key: string): ObjectVersion {
    this.bucketInfo(bucket)
    const object = this.objects.get(`${bucket}/${key}`)
    if (object === undefined) throw new CairnError('NoSuchKey', key)
    return object
  }

  private bucketInfo(name: string) {
    const space = this.buckets.get(name)
    if (space === undefined) throw new CairnError('NoSuchBucket', name)
    return { name, space, createdMs: 1, owner: '', region: 'us-east-1', versioning: 'unset' as const }
  }

  private openUpload(uploadId: string): Upload {
    const upload = this.uploads.get(uploadId)
    if (upload === undefined || upload.completed) throw new CairnError('NoSuchUpload', uploadId)
    return upload
  }

  private liveSession(session: SessionId): { expiresMs: number } {
    const found = this.sessions.get(formatId(session))
    if (found === undefined || found.expiresMs <= this.clock.monotonicMs()) {
      throw new CairnError('SessionExpired', formatId(session))
    }
    return found
  }

  private nextId(size: number): Uint8Array {
    const id = Buffer.alloc(size, 0x5e)
    id.writeUInt32BE(++this.counter, 0)
    return id
  }
}

type Handle = <Q, R>(method: RpcMethod<Q, R>, answer: (request: Q) => R) => void

/** A map whose bytes are its own: what a message decodes to is a view of it. */
function keep(map: BlockMap): BlockMap {
  return structuredClone(map)
}
