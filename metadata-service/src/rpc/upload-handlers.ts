/** Methods 40 to 48: multipart uploads. */
import {
  abortUpload,
  completeUpload,
  createUpload,
  freezeUpload,
  getUpload,
  listParts,
  listUploads,
  putPart,
  type RpcRouter,
  thawUpload,
} from '@cairn/protocol'
import type { EvidenceOf } from '../core/attempts/commit-evidence.js'
import type { Namespace } from '../core/namespace/namespace.js'
import * as completion from '../core/uploads/complete-upload.js'
import * as uploads from '../core/uploads/uploads.js'
import * as listings from '../core/uploads/uploads-listing.js'
import * as parts from '../core/uploads/uploads-parts.js'

export function registerUploadHandlers(
  router: RpcRouter,
  namespace: Namespace,
  evidenceOf: EvidenceOf,
): void {
  const { world, worldOf } = namespace
  router.handle(createUpload, async (request) => ({
    response: await uploads.createUpload(worldOf(request, [request.op]), request),
  }))
  router.handle(getUpload, async (request) => ({ response: await uploads.getUpload(world, request) }))
  router.handle(putPart, async (request, { peer }) => ({
    response: await parts.putPart(worldOf(request, [request.context.op], evidenceOf(peer)), request),
  }))
  router.handle(listParts, async (request) => ({ response: await listings.listParts(world, request) }))
  router.handle(listUploads, async (request) => ({ response: await listings.listUploads(world, request) }))
  router.handle(freezeUpload, async (request) => ({
    response: await uploads.freezeUpload(worldOf(request, [request.op]), request),
  }))
  router.handle(completeUpload, async (request, { peer }) => {
    const own = worldOf(request, [request.context.op], evidenceOf(peer))
    return { response: await completion.completeUpload(own, request) }
  })
  router.handle(abortUpload, async (request) => {
    await uploads.abortUpload(worldOf(request, [request.op]), request)
    return { response: {} }
  })
  router.handle(thawUpload, async (request) => {
    await uploads.thawUpload(worldOf(request, [request.op]), request)
    return { response: {} }
  })
}
