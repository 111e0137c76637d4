/**
 * Every operation of the S3 API and the requests that mean it. What is here but not in the registry answers
 * 501 by its name; a request never falls back to a plainer operation than it asked for, as far as we know what it asked.
 */

/** How a request names an operation. */
export interface OperationForm {
  readonly on: 'service' | 'bucket' | 'object'
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE' | 'OPTIONS'
  /** The query parameter that turns the plain operation into this one. */
  readonly sub?: string
  /** A further parameter that must be there; without it the form without `with` is meant. */
  readonly with?: string
  /** A header that must be there; without it the form without `header` is meant. */
  readonly header?: string
  /** Another operation with the same wire form, which is the one that answers. */
  readonly aliasOf?: string
}

/** The 111 operations of S3's model. */
export const S3_OPERATIONS = {
  // Service.
  ListBuckets: { on: 'service', method: 'GET' },
  ListDirectoryBuckets: { on: 'service', method: 'GET', aliasOf: 'ListBuckets' },

  // Bucket.
  CreateBucket: { on: 'bucket', method: 'PUT' },
  HeadBucket: { on: 'bucket', method: 'HEAD' },
  DeleteBucket: { on: 'bucket', method: 'DELETE' },
  GetBucketLocation: { on: 'bucket', method: 'GET', sub: 'location' },
  ListObjects: { on: 'bucket', method: 'GET' },
  ListObjectsV2: { on: 'bucket', method: 'GET', sub: 'list-type' },
  ListObjectVersions: { on: 'bucket', method: 'GET', sub: 'versions' },
  ListMultipartUploads: { on: 'bucket', method: 'GET', sub: 'uploads' },
  DeleteObjects: { on: 'bucket', method: 'POST', sub: 'delete' },
  GetBucketVersioning: { on: 'bucket', method: 'GET', sub: 'versioning' },
  PutBucketVersioning: { on: 'bucket', method: 'PUT', sub: 'versioning' },

  // Bucket settings.
  GetBucketPolicy: { on: 'bucket', method: 'GET', sub: 'policy' },
  PutBucketPolicy: { on: 'bucket', method: 'PUT', sub: 'policy' },
  DeleteBucketPolicy: { on: 'bucket', method: 'DELETE', sub: 'policy' },
  GetBucketPolicyStatus: { on: 'bucket', method: 'GET', sub: 'policyStatus' },
  GetBucketAcl: { on: 'bucket', method: 'GET', sub: 'acl' },
  PutBucketAcl: { on: 'bucket', method: 'PUT', sub: 'acl' },
  GetBucketCors: { on: 'bucket', method: 'GET', sub: 'cors' },
  PutBucketCors: { on: 'bucket', method: 'PUT', sub: 'cors' },
  DeleteBucketCors: { on: 'bucket', method: 'DELETE', sub: 'cors' },
  GetBucketTagging: { on: 'bucket', method: 'GET', sub: 'tagging' },
  PutBucketTagging: { on: 'bucket', method: 'PUT', sub: 'tagging' },
  DeleteBucketTagging: { on: 'bucket', method: 'DELETE', sub: 'tagging' },
  GetBucketLifecycleConfiguration: { on: 'bucket', method: 'GET', sub: 'lifecycle' },
  PutBucketLifecycleConfiguration: { on: 'bucket', method: 'PUT', sub: 'lifecycle' },
  DeleteBucketLifecycle: { on: 'bucket', method: 'DELETE', sub: 'lifecycle' },
  GetBucketLifecycle: {
    on: 'bucket',
    method: 'GET',
    sub: 'lifecycle',
    aliasOf: 'GetBucketLifecycleConfiguration',
  },
  PutBucketLifecycle: {
    on: 'bucket',
    method: 'PUT',
    sub: 'lifecycle',
    aliasOf: 'PutBucketLifecycleConfiguration',
  },
  GetBucketEncryption: { on: 'bucket', method: 'GET', sub: 'encryption' },
  PutBucketEncryption: { on: 'bucket', method: 'PUT', sub: 'encryption' },
  DeleteBucketEncryption: { on: 'bucket', method: 'DELETE', sub: 'encryption' },
  GetObjectLockConfiguration: { on: 'bucket', method: 'GET', sub: 'object-lock' },
  PutObjectLockConfiguration: { on: 'bucket', method: 'PUT', sub: 'object-lock' },
  GetPublicAccessBlock: { on: 'bucket', method: 'GET', sub: 'publicAccessBlock' },
  PutPublicAccessBlock: { on: 'bucket', method: 'PUT', sub: 'publicAccessBlock' },
  DeletePublicAccessBlock: { on: 'bucket', method: 'DELETE', sub: 'publicAccessBlock' },
  GetBucketOwnershipControls: { on: 'bucket', method: 'GET', sub: 'ownershipControls' },
  PutBucketOwnershipControls: { on: 'bucket', method: 'PUT', sub: 'ownershipControls' },
  DeleteBucketOwnershipControls: { on: 'bucket', method: 'DELETE', sub: 'ownershipControls' },
  GetBucketNotificationConfiguration: { on: 'bucket', method: 'GET', sub: 'notification' },
  PutBucketNotificationConfiguration: { on: 'bucket', method: 'PUT', sub: 'notification' },
  GetBucketNotification: {
    on: 'bucket',
    method: 'GET',
    sub: 'notification',
    aliasOf: 'GetBucketNotificationConfiguration',
  },
  PutBucketNotification: {
    on: 'bucket',
    method: 'PUT',
    sub: 'notification',
    aliasOf: 'PutBucketNotificationConfiguration',
  },
  GetBucketLogging: { on: 'bucket', method: 'GET', sub: 'logging' },
  PutBucketLogging: { on: 'bucket', method: 'PUT', sub: 'logging' },
  GetBucketWebsite: { on: 'bucket', method: 'GET', sub: 'website' },
  PutBucketWebsite: { on: 'bucket', method: 'PUT', sub: 'website' },
  DeleteBucketWebsite: { on: 'bucket', method: 'DELETE', sub: 'website' },
  GetBucketReplication: { on: 'bucket', method: 'GET', sub: 'replication' },
  PutBucketReplication: { on: 'bucket', method: 'PUT', sub: 'replication' },
  DeleteBucketReplication: { on: 'bucket', method: 'DELETE', sub: 'replication' },
  GetBucketInventoryConfiguration: { on: 'bucket', method: 'GET', sub: 'inventory', with: 'id' },
  PutBucketInventoryConfiguration: { on: 'bucket', method: 'PUT', sub: 'inventory' },
  DeleteBucketInventoryConfiguration: { on: 'bucket', method: 'DELETE', sub: 'inventory' },
  ListBucketInventoryConfigurations: { on: 'bucket', method: 'GET', sub: 'inventory' },
  GetBucketMetricsConfiguration: { on: 'bucket', method: 'GET', sub: 'metrics', with: 'id' },
  PutBucketMetricsConfiguration: { on: 'bucket', method: 'PUT', sub: 'metrics' },
  DeleteBucketMetricsConfiguration: { on: 'bucket', method: 'DELETE', sub: 'metrics' },
  ListBucketMetricsConfigurations: { on: 'bucket', method: 'GET', sub: 'metrics' },
  GetBucketAnalyticsConfiguration: { on: 'bucket', method: 'GET', sub: 'analytics', with: 'id' },
  PutBucketAnalyticsConfiguration: { on: 'bucket', method: 'PUT', sub: 'analytics' },
  DeleteBucketAnalyticsConfiguration: { on: 'bucket', method: 'DELETE', sub: 'analytics' },
  ListBucketAnalyticsConfigurations: { on: 'bucket', method: 'GET', sub: 'analytics' },
  GetBucketIntelligentTieringConfiguration: {
    on: 'bucket',
    method: 'GET',
    sub: 'intelligent-tiering',
    with: 'id',
  },
  PutBucketIntelligentTieringConfiguration: { on: 'bucket', method: 'PUT', sub: 'intelligent-tiering' },
  DeleteBucketIntelligentTieringConfiguration: { on: 'bucket', method: 'DELETE', sub: 'intelligent-tiering' },
  ListBucketIntelligentTieringConfigurations: { on: 'bucket', method: 'GET', sub: 'intelligent-tiering' },
  GetBucketRequestPayment: { on: 'bucket', method: 'GET', sub: 'requestPayment' },
  PutBucketRequestPayment: { on: 'bucket', method: 'PUT', sub: 'requestPayment' },
  GetBucketAccelerateConfiguration: { on: 'bucket', method: 'GET', sub: 'accelerate' },
  PutBucketAccelerateConfiguration: { on: 'bucket', method: 'PUT', sub: 'accelerate' },
  CreateSession: { on: 'bucket', method: 'GET', sub: 'session' },
  GetBucketAbac: { on: 'bucket', method: 'GET', sub: 'abac' },
  PutBucketAbac: { on: 'bucket', method: 'PUT', sub: 'abac' },
  CreateBucketMetadataConfiguration: { on: 'bucket', method: 'POST', sub: 'metadataConfiguration' },
  GetBucketMetadataConfiguration: { on: 'bucket', method: 'GET', sub: 'metadataConfiguration' },
  DeleteBucketMetadataConfiguration: { on: 'bucket', method: 'DELETE', sub: 'metadataConfiguration' },
  CreateBucketMetadataTableConfiguration: { on: 'bucket', method: 'POST', sub: 'metadataTable' },
  GetBucketMetadataTableConfiguration: { on: 'bucket', method: 'GET', sub: 'metadataTable' },
  DeleteBucketMetadataTableConfiguration: { on: 'bucket', method: 'DELETE', sub: 'metadataTable' },
  UpdateBucketMetadataInventoryTableConfiguration: {
    on: 'bucket',
    method: 'PUT',
    sub: 'metadataInventoryTable',
  },
  UpdateBucketMetadataJournalTableConfiguration: { on: 'bucket', method: 'PUT', sub: 'metadataJournalTable' },

  // Object.
  PutObject: { on: 'object', method: 'PUT' },
  CopyObject: { on: 'object', method: 'PUT', header: 'x-amz-copy-source' },
  GetObject: { on: 'object', method: 'GET' },
  HeadObject: { on: 'object', method: 'HEAD' },
  DeleteObject: { on: 'object', method: 'DELETE' },
  CreateMultipartUpload: { on: 'object', method: 'POST', sub: 'uploads' },
  UploadPart: { on: 'object', method: 'PUT', sub: 'uploadId', with: 'partNumber' },
  UploadPartCopy: {
    on: 'object',
    method: 'PUT',
    sub: 'uploadId',
    with: 'partNumber',
    header: 'x-amz-copy-source',
  },
  CompleteMultipartUpload: { on: 'object', method: 'POST', sub: 'uploadId' },
  AbortMultipartUpload: { on: 'object', method: 'DELETE', sub: 'uploadId' },
  ListParts: { on: 'object', method: 'GET', sub: 'uploadId' },
  GetObjectAcl: { on: 'object', method: 'GET', sub: 'acl' },
  PutObjectAcl: { on: 'object', method: 'PUT', sub: 'acl' },
  GetObjectTagging: { on: 'object', method: 'GET', sub: 'tagging' },
  PutObjectTagging: { on: 'object', method: 'PUT', sub: 'tagging' },
  DeleteObjectTagging: { on: 'object', method: 'DELETE', sub: 'tagging' },
  GetObjectRetention: { on: 'object', method: 'GET', sub: 'retention' },
  PutObjectRetention: { on: 'object', method: 'PUT', sub: 'retention' },
  GetObjectLegalHold: { on: 'object', method: 'GET', sub: 'legal-hold' },
  PutObjectLegalHold: { on: 'object', method: 'PUT', sub: 'legal-hold' },
  GetObjectAttributes: { on: 'object', method: 'GET', sub: 'attributes' },
  GetObjectTorrent: { on: 'object', method: 'GET', sub: 'torrent' },
  RestoreObject: { on: 'object', method: 'POST', sub: 'restore' },
  RenameObject: { on: 'object', method: 'PUT', sub: 'renameObject' },
  SelectObjectContent: { on: 'object', method: 'POST', sub: 'select' },
  UpdateObjectEncryption: { on: 'object', method: 'PUT', sub: 'encryption' },
  WriteGetObjectResponse: { on: 'service', method: 'POST', sub: 'WriteGetObjectResponse' },
} as const

/** Requests that S3 answers but its model does not name, and newer ones. */
export const OTHER_OPERATIONS = {
  PostObject: { on: 'bucket', method: 'POST' },
  PreflightRequest: { on: 'object', method: 'OPTIONS' },
  QueryApi: { on: 'service', method: 'POST' },
  GetObjectAnnotation: { on: 'object', method: 'GET', sub: 'annotation' },
  PutObjectAnnotation: { on: 'object', method: 'PUT', sub: 'annotation' },
  DeleteObjectAnnotation: { on: 'object', method: 'DELETE', sub: 'annotation' },
} as const

export type OperationName = keyof typeof S3_OPERATIONS | keyof typeof OTHER_OPERATIONS

/** All forms, by the name of their operation. */
export const OPERATION_FORMS: Readonly<Record<OperationName, OperationForm>> = {
  ...S3_OPERATIONS,
  ...OTHER_OPERATIONS,
}
