/** Serves the methods of objects, versions and their listings. */
import {
  copyObject,
  deleteObjects,
  getObject,
  listObjects,
  listVersions,
  putObject,
  type RpcRouter,
  setObjectTags,
} from '@cairn/protocol'
import type { EvidenceOf } from '../core/attempts/commit-evidence.js'
import type { Namespace } from '../core/namespace/namespace.js'
import { registerBucketHandlers } from './bucket-handlers.js'

/** Registers all methods of the namespace: those of buckets too. */
export function registerNamespaceHandlers(
  router: RpcRouter,
  namespace: Namespace,
  evidenceOf: EvidenceOf,
): void {
  registerBucketHandlers(router, namespace)
  router.handle(
    putObject,
    async (request, { peer }) => ({ response: await namespace.putObject(request, evidenceOf(peer)) }),
    undefined,
    (request, _units, settle, peer) =>
      evidenceOf(peer) === undefined && namespace.putObjectNow(request, settle),
  )
  router.handle(
    getObject,
    async (request) => ({ response: await namespace.getObject(request) }),
    (request) => {
      const response = namespace.getObjectNow(request)
      return response === undefined ? undefined : { response, units: [] }
    },
  )
  router.handle(deleteObjects, async (request) => ({ response: await namespace.deleteObjects(request) }))
  router.handle(copyObject, async (request) => ({ response: await namespace.copyObject(request) }))
  router.handle(setObjectTags, async (request) => ({ response: await namespace.setObjectTags(request) }))
  router.handle(listObjects, async (request) => ({ response: await namespace.listObjects(request) }))
  router.handle(listVersions, async (request) => ({ response: await namespace.listVersions(request) }))
}
