/** Operations of S3's model that wait for later issues: name, method, and the request that means it. */
export const NOT_BUILT: readonly (readonly [name: string, method: string, path: string, query: string])[] = [
  ...onBucket(
    'policy',
    ['GET', 'GetBucketPolicy'],
    ['PUT', 'PutBucketPolicy'],
    ['DELETE', 'DeleteBucketPolicy'],
  ),
  ...onBucket('policyStatus', ['GET', 'GetBucketPolicyStatus']),
  ...onBucket('acl', ['GET', 'GetBucketAcl'], ['PUT', 'PutBucketAcl']),
  ...onObject('acl', ['GET', 'GetObjectAcl'], ['PUT', 'PutObjectAcl']),
  ...onBucket('cors', ['GET', 'GetBucketCors'], ['PUT', 'PutBucketCors'], ['DELETE', 'DeleteBucketCors']),
  ...onObject('tagging', ['GET', 'GetObjectTagging'], ['PUT', 'PutObjectTagging']),
  ...onObject('tagging', ['DELETE', 'DeleteObjectTagging']),
  ...onBucket('tagging', ['GET', 'GetBucketTagging'], ['PUT', 'PutBucketTagging']),
  ...onBucket('tagging', ['DELETE', 'DeleteBucketTagging']),
  ...onBucket('lifecycle', ['GET', 'GetBucketLifecycleConfiguration']),
  ...onBucket('lifecycle', ['PUT', 'PutBucketLifecycleConfiguration'], ['DELETE', 'DeleteBucketLifecycle']),
  ...onBucket('encryption', ['GET', 'GetBucketEncryption'], ['PUT', 'PutBucketEncryption']),
  ...onBucket('encryption', ['DELETE', 'DeleteBucketEncryption']),
  ...onBucket('object-lock', ['GET', 'GetObjectLockConfiguration'], ['PUT', 'PutObjectLockConfiguration']),
  ...onObject('retention', ['GET', 'GetObjectRetention'], ['PUT', 'PutObjectRetention']),
  ...onObject('legal-hold', ['GET', 'GetObjectLegalHold'], ['PUT', 'PutObjectLegalHold']),
  ...onBucket('publicAccessBlock', ['GET', 'GetPublicAccessBlock'], ['PUT', 'PutPublicAccessBlock']),
  ...onBucket('publicAccessBlock', ['DELETE', 'DeletePublicAccessBlock']),
  ...onBucket('ownershipControls', ['GET', 'GetBucketOwnershipControls']),
  ...onBucket('ownershipControls', ['PUT', 'PutBucketOwnershipControls']),
  ...onBucket('ownershipControls', ['DELETE', 'DeleteBucketOwnershipControls']),
  ...onObject('attributes', ['GET', 'GetObjectAttributes']),
  ...onBucket('notification', ['GET', 'GetBucketNotificationConfiguration']),
  ...onBucket('notification', ['PUT', 'PutBucketNotificationConfiguration']),
  ...onBucket('logging', ['GET', 'GetBucketLogging'], ['PUT', 'PutBucketLogging']),
  ...onBucket('website', ['GET', 'GetBucketWebsite'], ['PUT', 'PutBucketWebsite']),
  ...onBucket('website', ['DELETE', 'DeleteBucketWebsite']),
  ...onBucket('replication', ['GET', 'GetBucketReplication'], ['PUT', 'PutBucketReplication']),
  ...onBucket('replication', ['DELETE', 'DeleteBucketReplication']),
  ...configurations('inventory', 'Inventory'),
  ...configurations('metrics', 'Metrics'),
  ...configurations('analytics', 'Analytics'),
  ...configurations('intelligent-tiering', 'IntelligentTiering'),
  ...onObject('restore', ['POST', 'RestoreObject']),
  ...onObject('renameObject', ['PUT', 'RenameObject']),
  ...onObject('select&select-type=2', ['POST', 'SelectObjectContent']),
  ...onObject('encryption', ['PUT', 'UpdateObjectEncryption']),
  ...onBucket('requestPayment', ['GET', 'GetBucketRequestPayment'], ['PUT', 'PutBucketRequestPayment']),
  ...onBucket('accelerate', ['GET', 'GetBucketAccelerateConfiguration']),
  ...onBucket('accelerate', ['PUT', 'PutBucketAccelerateConfiguration']),
  ...onObject('torrent', ['GET', 'GetObjectTorrent']),
  ...onBucket('session', ['GET', 'CreateSession']),
  ['WriteGetObjectResponse', 'POST', '/WriteGetObjectResponse', ''],
  ...onBucket('abac', ['GET', 'GetBucketAbac'], ['PUT', 'PutBucketAbac']),
  ...onBucket('metadataConfiguration', ['POST', 'CreateBucketMetadataConfiguration']),
  ...onBucket('metadataConfiguration', ['GET', 'GetBucketMetadataConfiguration']),
  ...onBucket('metadataConfiguration', ['DELETE', 'DeleteBucketMetadataConfiguration']),
  ...onBucket('metadataTable', ['POST', 'CreateBucketMetadataTableConfiguration']),
  ...onBucket('metadataTable', ['GET', 'GetBucketMetadataTableConfiguration']),
  ...onBucket('metadataTable', ['DELETE', 'DeleteBucketMetadataTableConfiguration']),
  ...onBucket('metadataInventoryTable', ['PUT', 'UpdateBucketMetadataInventoryTableConfiguration']),
  ...onBucket('metadataJournalTable', ['PUT', 'UpdateBucketMetadataJournalTableConfiguration']),
]

type Form = readonly [method: string, name: string]
type Row = readonly [name: string, method: string, path: string, query: string]

/** `BUCKET` stands for a bucket that exists; an object `key` is in it. */
function onBucket(query: string, ...forms: readonly Form[]): Row[] {
  return forms.map(([method, name]) => [name, method, '/BUCKET', query])
}

function onObject(query: string, ...forms: readonly Form[]): Row[] {
  return forms.map(([method, name]) => [name, method, '/BUCKET/key', query])
}

function configurations(query: string, area: string): Row[] {
  return [
    ...onBucket(`${query}&id=one`, ['GET', `GetBucket${area}Configuration`]),
    ...onBucket(`${query}&id=one`, ['PUT', `PutBucket${area}Configuration`]),
    ...onBucket(`${query}&id=one`, ['DELETE', `DeleteBucket${area}Configuration`]),
    ...onBucket(query, ['GET', `ListBucket${area}Configurations`]),
  ]
}
