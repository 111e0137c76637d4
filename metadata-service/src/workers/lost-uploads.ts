/** Aborts uploads whose bucket is gone: a bucket may be deleted while uploads are open. */
import { type Clock, sameBytes } from '@cairn/protocol'
import { bucketKey, rangeOfPrefix, successorOfKey } from '../core/rows/keys.js'
import { BucketRow } from '../core/rows/rows.js'
import { planAbort } from '../core/uploads/uploads.js'
import {
  isLive,
  type StoredUploadRow,
  stateProof,
  uploadCompare,
  uploadOfRow,
  uploadPut,
} from '../core/uploads/uploads-state.js'
import type { KeyValueStore, StoreRow } from '../ports.js'

const UPLOADS_PER_STEP = 100

/** Goes through all uploads once; how many it aborted. A space that is gone never comes back. */
export async function abortLostUploads(
  store: KeyValueStore,
  clock: Clock,
  signal: AbortSignal = new AbortController().signal,
): Promise<number> {
  const all = rangeOfPrefix(Buffer.from('u/'))
  let from = all.from
  let aborted = 0
  while (!signal.aborted) {
    const { results } = await store.read([
      { kind: 'scan', range: { from, to: all.to }, limit: UPLOADS_PER_STEP },
    ])
    const rows = results[0] ?? []
    for (const upload of await lostAmong(store, rows)) if (await abort(store, clock, upload)) aborted++
    const last = rows.at(-1)
    if (last === undefined || rows.length < UPLOADS_PER_STEP) break
    from = successorOfKey(last.key)
  }
  return aborted
}

async function lostAmong(store: KeyValueStore, rows: readonly StoreRow[]): Promise<StoredUploadRow[]> {
  const uploads = rows.map(uploadOfRow).filter(({ row }) => isLive(row))
  if (uploads.length === 0) return []
  const { results } = await store.readAuthority(
    uploads.map(({ row }) => ({ kind: 'get', key: bucketKey(row.bucket) })),
  )
  return uploads.filter(({ place }, at) => {
    const bucket = results[at]?.[0]
    return bucket === undefined || !sameBytes(BucketRow.decode(bucket.value).space, place.space)
  })
}

async function abort(store: KeyValueStore, clock: Clock, upload: StoredUploadRow): Promise<boolean> {
  const change = planAbort(upload, upload.row.op, clock.wallMicros())
  const result = await store.commit({
    compares: [uploadCompare(upload)],
    puts: [uploadPut(upload, change.row), ...(change.puts ?? [])],
    proof: stateProof(upload, change.row),
  })
  return result.committed
}
