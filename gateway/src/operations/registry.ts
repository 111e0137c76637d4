/** The operations that are built. One line each; everything else in the table answers 501. */

import { abortMultipartUpload } from './abort-multipart-upload.js'
import { getBucketAcl, getObjectAcl, putBucketAcl, putObjectAcl } from './acl.js'
import { deleteBucketTagging, getBucketTagging, putBucketTagging } from './bucket-tagging.js'
import { completeMultipartUpload } from './complete-multipart-upload.js'
import { copyObject } from './copy-object.js'
import { createBucket } from './create-bucket.js'
import { createMultipartUpload } from './create-multipart-upload.js'
import { deleteBucket } from './delete-bucket.js'
import { deleteBucketCors } from './delete-bucket-cors.js'
import { deleteObject } from './delete-object.js'
import { deleteObjects } from './delete-objects.js'
import { getBucketCors } from './get-bucket-cors.js'
import { getBucketLocation } from './get-bucket-location.js'
import { getBucketVersioning } from './get-bucket-versioning.js'
import { getObject, headObject } from './get-object.js'
import { getObjectAttributes } from './get-object-attributes.js'
import { headBucket } from './head-bucket.js'
import { listBuckets } from './list-buckets.js'
import { listMultipartUploads } from './list-multipart-uploads.js'
import { listObjectVersions } from './list-object-versions.js'
import { listObjects } from './list-objects.js'
import { listObjectsV2 } from './list-objects-v2.js'
import { listParts } from './list-parts.js'
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './object-tagging.js'
import { postObject } from './post-object.js'
import { putBucketCors } from './put-bucket-cors.js'
import { putBucketVersioning } from './put-bucket-versioning.js'
import { putObject } from './put-object.js'
import type { OperationName } from './table.js'
import type { Operation } from './types.js'
import { unsetConfigurations } from './unset-configurations.js'
import { uploadPart } from './upload-part.js'
import { uploadPartCopy } from './upload-part-copy.js'

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
  listObjectVersions,
  listObjects,
  listObjectsV2,
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

/** Built operations by name. */
export const REGISTRY: ReadonlyMap<OperationName, Operation> = new Map(
  built.map((operation) => [operation.name, operation]),
)
