/** Serves the methods of buckets. */
import {
  createBucket,
  deleteBucket,
  getBucket,
  getBucketConfiguration,
  listBuckets,
  type RpcRouter,
  setBucketConfiguration,
  setBucketVersioning,
} from '@cairn/protocol'
import type { Namespace } from '../core/namespace/namespace.js'

export function registerBucketHandlers(router: RpcRouter, namespace: Namespace): void {
  router.handle(createBucket, async (request) => ({ response: await namespace.createBucket(request) }))
  router.handle(getBucket, async (request) => ({ response: await namespace.getBucket(request) }))
  router.handle(deleteBucket, async (request) => {
    await namespace.deleteBucket(request)
    return { response: {} }
  })
  router.handle(listBuckets, async (request) => ({ response: await namespace.listBuckets(request) }))
  router.handle(getBucketConfiguration, async (request) => ({
    response: await namespace.getBucketConfiguration(request),
  }))
  router.handle(setBucketConfiguration, async (request) => {
    await namespace.setBucketConfiguration(request)
    return { response: {} }
  })
  router.handle(setBucketVersioning, async (request) => ({
    response: await namespace.setBucketVersioning(request),
  }))
}
