/** Serves the methods of buckets. */
import {
  createBucket,
  deleteBucket,
  getBucket,
  listBuckets,
  type RpcRouter,
  setBucketVersioning,
} from '@cairn/protocol'
import type { Namespace } from '../core/namespace.js'

export function registerBucketHandlers(router: RpcRouter, namespace: Namespace): void {
  router.handle(createBucket, async (request) => ({ response: await namespace.createBucket(request) }))
  router.handle(getBucket, async (request) => ({ response: await namespace.getBucket(request) }))
  router.handle(deleteBucket, async (request) => {
    await namespace.deleteBucket(request)
    return { response: {} }
  })
  router.handle(listBuckets, async (request) => ({ response: await namespace.listBuckets(request) }))
  router.handle(setBucketVersioning, async (request) => ({
    response: await namespace.setBucketVersioning(request),
  }))
}
