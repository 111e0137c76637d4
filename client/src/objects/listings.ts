/** Listings of objects, versions, uploads and parts: one page a call. */
import {
  LIST_PAGE_MAX,
  type ListObjectsResponse,
  type ListUploadsResponse,
  type ListVersionsResponse,
  listObjects,
  listParts,
  listUploads,
  listVersions,
} from '@cairn/protocol'
import type { CairnClient, PartPage } from '../api.js'
import type { ClientParts } from '../parts.js'

type ListingMethods = Pick<CairnClient, 'listObjects' | 'listVersions' | 'listUploads' | 'listParts'>

export function createListingMethods({ metadata }: ClientParts): ListingMethods {
  return {
    async listObjects(bucket, options = {}): Promise<ListObjectsResponse> {
      const { prefix = '', delimiter = '', after = '', limit = LIST_PAGE_MAX, signal } = options
      return metadata.read(listObjects, { bucket, prefix, delimiter, after, limit }, signal)
    },
    async listVersions(bucket, options = {}): Promise<ListVersionsResponse> {
      const { prefix = '', delimiter = '', afterKey = '', afterVersionId = '', signal } = options
      const limit = options.limit ?? LIST_PAGE_MAX
      const request = { bucket, prefix, delimiter, afterKey, afterVersionId, limit }
      return metadata.read(listVersions, request, signal)
    },
    async listUploads(bucket, options = {}): Promise<ListUploadsResponse> {
      const { prefix = '', delimiter = '', afterKey = '', afterUploadId = '', signal } = options
      const limit = options.limit ?? LIST_PAGE_MAX
      return metadata.read(listUploads, { bucket, prefix, delimiter, afterKey, afterUploadId, limit }, signal)
    },
    async listParts(upload, options = {}): Promise<PartPage> {
      const { afterPart = 0, limit = LIST_PAGE_MAX, signal } = options
      return metadata.read(listParts, { ...nameOf(upload), afterPart, limit, withMaps: false }, signal)
    },
  }
}

function nameOf({ bucket, key, uploadId }: { bucket: string; key: string; uploadId: string }): {
  bucket: string
  key: string
  uploadId: string
} {
  return { bucket, key, uploadId }
}
