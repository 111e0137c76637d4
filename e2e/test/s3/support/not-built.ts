/** Operations of S3's model that wait for later issues: name, method, and the request that means it. */
export const NOT_BUILT: readonly (readonly [name: string, method: string, path: string, query: string])[] = [
  ...onBucket('policy', ['PUT', 'PutBucketPolicy']),
  ...onBucket('lifecycle', ['PUT', 'PutBucketLifecycleConfiguration']),
  ...onBucket('encryption', ['PUT', 'PutBucketEncryption']),
  ...onBucket('object-lock', ['PUT', 'PutObjectLockConfiguration']),
  ...onObject('retention', ['PUT', 'PutObjectRetention']),
  ...onObject('legal-hold', ['PUT', 'PutObjectLegalHold']),
  ...onBucket('publicAccessBlock', ['PUT', 'PutPublicAccessBlock']),
  ...onBucket('ownershipControls', ['PUT', 'PutBucketOwnershipControls']),
  ...onBucket('ownershipControls', ['DELETE', 'DeleteBucketOwnershipControls']),
  ...onBucket('notification', ['PUT', 'PutBucketNotificationConfiguration']),
  ...onBucket('logging', ['PUT', 'PutBucketLogging']),
  ...onBucket('website', ['PUT', 'PutBucketWebsite']),
  ...onBucket('replication', ['PUT', 'PutBucketReplication']),
  ...configurations('inventory', 'Inventory'),
  ...configurations('metrics', 'Metrics'),
  ...configurations('analytics', 'Analytics'),
  ...configurations('intelligent-tiering', 'IntelligentTiering'),
  ...onObject('restore', ['POST', 'RestoreObject']),
  ...onObject('renameObject', ['PUT', 'RenameObject']),
  ...onObject('select&select-type=2', ['POST', 'SelectObjectContent']),
  ...onObject('encryption', ['PUT', 'UpdateObjectEncryption']),
  ...onBucket('requestPayment', ['PUT', 'PutBucketRequestPayment']),
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
    ...onBucket(`${query}&id=one`, ['PUT', `PutBucket${area}Configuration`]),
    ...onBucket(`${query}&id=one`, ['DELETE', `DeleteBucket${area}Configuration`]),
  ]
}
