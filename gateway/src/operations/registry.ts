/** The operations that are built. One line each; everything else in the table answers 501. */

import { getBucketAcl, getObjectAcl, putBucketAcl, putObjectAcl } from './buckets/acl.js'
import { deleteBucketTagging, getBucketTagging, putBucketTagging } from './buckets/bucket-tagging.js'
import { createBucket } from './buckets/create-bucket.js'
import { deleteBucket } from './buckets/delete-bucket.js'
import { deleteBucketCors } from './buckets/delete-bucket-cors.js'
import { getBucketCors } from './buckets/get-bucket-cors.js'
import { getBucketLocation } from './buckets/get-bucket-location.js'
import { getBucketVersioning } from './buckets/get-bucket-versioning.js'
import { headBucket } from './buckets/head-bucket.js'
import { listBuckets } from './buckets/list-buckets.js'
import { putBucketCors } from './buckets/put-bucket-cors.js'
import { putBucketVersioning } from './buckets/put-bucket-versioning.js'
import { unsetConfigurations } from './buckets/unset-configurations.js'
import { postObject } from './forms/post-object.js'
import { listObjectVersions } from './listing/list-object-versions.js'
import { listObjects } from './listing/list-objects.js'
import { listObjectsV2 } from './listing/list-objects-v2.js'
import { copyObject } from './objects/copy-object.js'
import { deleteObject } from './objects/delete-object.js'
import { deleteObjects } from './objects/delete-objects.js'
import { getObject, headObject } from './objects/get-object.js'
import { getObjectAttributes } from './objects/get-object-attributes.js'
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './objects/object-tagging.js'
import { putObject } from './objects/put-object.js'
import type { OperationName } from './table.js'
import type { Operation } from './types.js'
import { abortMultipartUpload } from './uploads/abort-multipart-upload.js'
import { completeMultipartUpload } from './uploads/complete-multipart-upload.js'
import { createMultipartUpload } from './uploads/create-multipart-upload.js'
import { listMultipartUploads } from './uploads/list-multipart-uploads.js'
import { listParts } from './uploads/list-parts.js'
import { uploadPart } from './uploads/upload-part.js'
import { uploadPartCopy } from './uploads/upload-part-copy.js'

const built: readonly Operation[] = [
  abortMultipartUpload,
  completeMultipartUpload,
  copyObject,
  createBucket,
  createMultipartUpload,
  deleteBucket,
  deleteBucketCors,
  deleteObject,
  deleteObjects,
  getBucketCors,
  getBucketLocation,
  getBucketVersioning,
  getObject,
  headObject,
  headBucket,
  listBuckets,
  listMultipartUploads,
  withRegion(listObjectVersions),
  withRegion(listObjects),
  withRegion(listObjectsV2),
  listParts,
  postObject,
  putBucketCors,
  putBucketVersioning,
  putObject,
  uploadPart,
  uploadPartCopy,
  deleteBucketTagging,
  deleteObjectTagging,
  getBucketAcl,
  getBucketTagging,
  getObjectAcl,
  getObjectAttributes,
  getObjectTagging,
  putBucketAcl,
  putBucketTagging,
  putObjectAcl,
  putObjectTagging,
  ...unsetConfigurations,
]

/** A listing that says where its bucket lies, as S3's do. All buckets of a gateway are in its region. */
function withRegion({ name, handle }: Operation): Operation {
  return {
    name,
    async handle(context) {
      const answer = await handle(context)
      return { ...answer, headers: { ...answer.headers, 'x-amz-bucket-region': context.config.region } }
    },
  }
}

/** Built operations by name. */
export const REGISTRY: ReadonlyMap<OperationName, Operation> = new Map(
  built.map((operation) => [operation.name, operation]),
)
