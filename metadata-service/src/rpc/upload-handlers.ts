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
import * as completion from '../core/complete-upload.js'
import type { ObjectWorld } from '../core/objects-attempts.js'
import * as uploads from '../core/uploads.js'
import * as listings from '../core/uploads-listing.js'
import * as parts from '../core/uploads-parts.js'

export function registerUploadHandlers(router: RpcRouter, world: ObjectWorld): void {
  router.handle(createUpload, async (request) => ({ response: await uploads.createUpload(world, request) }))
  router.handle(getUpload, async (request) => ({ response: await uploads.getUpload(world, request) }))
  router.handle(putPart, async (request) => ({ response: await parts.putPart(world, request) }))
  router.handle(listParts, async (request) => ({ response: await listings.listParts(world, request) }))
  router.handle(listUploads, async (request) => ({ response: await listings.listUploads(world, request) }))
  router.handle(freezeUpload, async (request) => ({ response: await uploads.freezeUpload(world, request) }))
  router.handle(completeUpload, async (request) => ({
    response: await completion.completeUpload(world, request),
  }))
  router.handle(abortUpload, async (request) => {
    await uploads.abortUpload(world, request)
    return { response: {} }
  })
  router.handle(thawUpload, async (request) => {
    await uploads.thawUpload(world, request)
    return { response: {} }
  })
}
