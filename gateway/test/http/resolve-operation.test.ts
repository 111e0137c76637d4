import { expect } from 'chai'
import { S3Error } from '../../src/errors.js'
import { parseQuery } from '../../src/http/query.js'
import { parseRequestTarget } from '../../src/http/request-target.js'
import { resolveOperation } from '../../src/http/resolve-operation.js'
import { OPERATION_FORMS, type OperationName, S3_OPERATIONS } from '../../src/operations/table.js'

function resolve(method: string, target: string, headers: Record<string, string> = {}): string {
  const { bucket, key, rawQuery } = parseRequestTarget(target, 'localhost')
  try {
    const query = parseQuery(rawQuery)
    return resolveOperation({ method, bucket, key, query, headers })
  } catch (error) {
    if (error instanceof S3Error) return `${error.status} ${error.code}`
    throw error
  }
}

/** Area by area: name, method and target. `+` adds `x-amz-copy-source`. */
const WIRE_FORMS = `
ListBuckets GET /
CreateBucket PUT /B
HeadBucket HEAD /B
DeleteBucket DELETE /B
GetBucketLocation GET /B?location
PutObject PUT /B/K
GetObject GET /B/K
HeadObject HEAD /B/K
DeleteObject DELETE /B/K
DeleteObjects POST /B?delete
CopyObject PUT+ /B/K
ListObjects GET /B
ListObjectsV2 GET /B?list-type=2
ListObjectVersions GET /B?versions
CreateMultipartUpload POST /B/K?uploads
UploadPart PUT /B/K?partNumber=1&uploadId=u
UploadPartCopy PUT+ /B/K?partNumber=1&uploadId=u
CompleteMultipartUpload POST /B/K?uploadId=u
AbortMultipartUpload DELETE /B/K?uploadId=u
ListParts GET /B/K?uploadId=u
ListMultipartUploads GET /B?uploads
GetBucketVersioning GET /B?versioning
PutBucketVersioning PUT /B?versioning
GetBucketPolicy GET /B?policy
PutBucketPolicy PUT /B?policy
DeleteBucketPolicy DELETE /B?policy
GetBucketPolicyStatus GET /B?policyStatus
GetBucketAcl GET /B?acl
PutBucketAcl PUT /B?acl
GetObjectAcl GET /B/K?acl
PutObjectAcl PUT /B/K?acl
GetBucketCors GET /B?cors
PutBucketCors PUT /B?cors
DeleteBucketCors DELETE /B?cors
GetObjectTagging GET /B/K?tagging
PutObjectTagging PUT /B/K?tagging
DeleteObjectTagging DELETE /B/K?tagging
GetBucketTagging GET /B?tagging
PutBucketTagging PUT /B?tagging
DeleteBucketTagging DELETE /B?tagging
GetBucketLifecycleConfiguration GET /B?lifecycle
PutBucketLifecycleConfiguration PUT /B?lifecycle
DeleteBucketLifecycle DELETE /B?lifecycle
GetBucketEncryption GET /B?encryption
PutBucketEncryption PUT /B?encryption
DeleteBucketEncryption DELETE /B?encryption
GetObjectLockConfiguration GET /B?object-lock
PutObjectLockConfiguration PUT /B?object-lock
GetObjectRetention GET /B/K?retention
PutObjectRetention PUT /B/K?retention
GetObjectLegalHold GET /B/K?legal-hold
PutObjectLegalHold PUT /B/K?legal-hold
GetPublicAccessBlock GET /B?publicAccessBlock
PutPublicAccessBlock PUT /B?publicAccessBlock
DeletePublicAccessBlock DELETE /B?publicAccessBlock
GetBucketOwnershipControls GET /B?ownershipControls
PutBucketOwnershipControls PUT /B?ownershipControls
DeleteBucketOwnershipControls DELETE /B?ownershipControls
GetObjectAttributes GET /B/K?attributes
GetBucketNotificationConfiguration GET /B?notification
PutBucketNotificationConfiguration PUT /B?notification
GetBucketLogging GET /B?logging
PutBucketLogging PUT /B?logging
GetBucketWebsite GET /B?website
PutBucketWebsite PUT /B?website
DeleteBucketWebsite DELETE /B?website
GetBucketReplication GET /B?replication
PutBucketReplication PUT /B?replication
DeleteBucketReplication DELETE /B?replication
GetBucketInventoryConfiguration GET /B?inventory&id=i
PutBucketInventoryConfiguration PUT /B?inventory&id=i
DeleteBucketInventoryConfiguration DELETE /B?inventory&id=i
ListBucketInventoryConfigurations GET /B?inventory
RestoreObject POST /B/K?restore
RenameObject PUT /B/K?renameObject
SelectObjectContent POST /B/K?select&select-type=2
UpdateObjectEncryption PUT /B/K?encryption
GetBucketRequestPayment GET /B?requestPayment
PutBucketRequestPayment PUT /B?requestPayment
GetBucketAccelerateConfiguration GET /B?accelerate
PutBucketAccelerateConfiguration PUT /B?accelerate
GetObjectTorrent GET /B/K?torrent
GetBucketMetricsConfiguration GET /B?metrics&id=i
PutBucketMetricsConfiguration PUT /B?metrics&id=i
DeleteBucketMetricsConfiguration DELETE /B?metrics&id=i
ListBucketMetricsConfigurations GET /B?metrics
GetBucketAnalyticsConfiguration GET /B?analytics&id=i
PutBucketAnalyticsConfiguration PUT /B?analytics&id=i
DeleteBucketAnalyticsConfiguration DELETE /B?analytics&id=i
ListBucketAnalyticsConfigurations GET /B?analytics
GetBucketIntelligentTieringConfiguration GET /B?intelligent-tiering&id=i
PutBucketIntelligentTieringConfiguration PUT /B?intelligent-tiering&id=i
DeleteBucketIntelligentTieringConfiguration DELETE /B?intelligent-tiering&id=i
ListBucketIntelligentTieringConfigurations GET /B?intelligent-tiering
CreateSession GET /B?session
WriteGetObjectResponse POST /WriteGetObjectResponse
GetBucketAbac GET /B?abac
PutBucketAbac PUT /B?abac
CreateBucketMetadataConfiguration POST /B?metadataConfiguration
GetBucketMetadataConfiguration GET /B?metadataConfiguration
DeleteBucketMetadataConfiguration DELETE /B?metadataConfiguration
CreateBucketMetadataTableConfiguration POST /B?metadataTable
GetBucketMetadataTableConfiguration GET /B?metadataTable
DeleteBucketMetadataTableConfiguration DELETE /B?metadataTable
UpdateBucketMetadataInventoryTableConfiguration PUT /B?metadataInventoryTable
UpdateBucketMetadataJournalTableConfiguration PUT /B?metadataJournalTable`
  .trim()
  .split('\n')
  .map((line) => line.split(' ') as [string, string, string])

const ALIASES = [
  'GetBucketLifecycle',
  'GetBucketNotification',
  'ListDirectoryBuckets',
  'PutBucketLifecycle',
  'PutBucketNotification',
]

describe('resolveOperation', () => {
  it('knows the 111 operations of the S3 model, each by its wire form', () => {
    const names = WIRE_FORMS.map(([name]) => name)
    expect([...names, ...ALIASES].sort()).to.deep.equal(Object.keys(S3_OPERATIONS).sort())
    expect(Object.keys(S3_OPERATIONS)).to.have.length(111)
    for (const [name, method, target] of WIRE_FORMS) {
      const headers: Record<string, string> = method.endsWith('+') ? { 'x-amz-copy-source': '/b/k' } : {}
      expect(resolve(method.replace('+', ''), target, headers), name).to.equal(name)
    }
  })

  it('names the successor where two operations share a form', () => {
    const aliases = Object.entries(OPERATION_FORMS).filter(([, form]) => form.aliasOf !== undefined)
    expect(aliases.map(([name]) => name).sort()).to.deep.equal(ALIASES)
    for (const [, { aliasOf }] of aliases) expect(OPERATION_FORMS).to.have.property(aliasOf as OperationName)
  })

  it('is not led astray by parameters that choose nothing', () => {
    expect(resolve('GET', '/B/K?x-id=GetObject&response-content-type=a&versionId=v')).to.equal('GetObject')
    expect(resolve('GET', '/B/K?partNumber=1')).to.equal('GetObject')
    expect(resolve('GET', '/B/K?X-Amz-Algorithm=a&X-Amz-Signature=b')).to.equal('GetObject')
    expect(resolve('PUT', '/B/K?x-amz-acl=private&x-id=PutObject')).to.equal('PutObject')
    const headers = 'Content-Type=image%2Fpng&Content-MD5=a&Cache-Control=no-store'
    expect(resolve('PUT', `/B/K?${headers}`)).to.equal('PutObject')
    expect(resolve('PUT', '/B/K?x-user=a')).to.equal('PutObject')
    expect(resolve('DELETE', '/B/K?X-Reason=')).to.equal('DeleteObject')
    expect(resolve('GET', '/B?x-trace')).to.equal('ListObjects')
    expect(resolve('GET', '/B?prefix=a&delimiter=/&max-keys=1')).to.equal('ListObjects')
    expect(resolve('GET', '/B/K?cache=1')).to.equal('GetObject')
    expect(resolve('GET', '/B/')).to.equal('ListObjects')
    expect(resolve('GET', '/B/acl')).to.equal('GetObject')
    expect(resolve('GET', '/B/K%3Facl')).to.equal('GetObject')
  })

  it('refuses unknown sub-resources, whatever the method', () => {
    for (const [method, target] of [
      ['GET', '/B?unknown'],
      ['GET', '/B/K?unknown='],
      ['PUT', '/B/K?unknown=1'],
      ['DELETE', '/B/K?unknown=1'],
      ['GET', '/B/K?versions'],
      ['DELETE', '/B/K?policy'],
      ['GET', '/B?ACL'],
    ] as const) {
      expect(resolve(method, target), target).to.equal('501 NotImplemented')
    }
  })

  it('refuses a version where an operation cannot be about one', () => {
    for (const [method, target] of [
      ['PUT', '/B/K?versionId=v'],
      ['PUT', '/B/K?versionId='],
      ['PUT+', '/B/K?versionId=v'],
      ['PUT', '/B/K?partNumber=1&uploadId=u&versionId=v'],
      ['PUT+', '/B/K?partNumber=1&uploadId=u&versionId=v'],
      ['POST', '/B/K?uploads&versionId=v'],
      ['POST', '/B/K?uploadId=u&versionId=v'],
      ['PUT', '/B/K?renameObject&versionId=v'],
      ['POST', '/B/K?select&select-type=2&versionId=v'],
    ] as const) {
      const headers: Record<string, string> = method.endsWith('+') ? { 'x-amz-copy-source': '/b/k' } : {}
      expect(resolve(method.replace('+', ''), target, headers), target).to.equal('400 InvalidArgument')
    }
    for (const [method, sub, name] of [
      ['PUT', 'acl', 'PutObjectAcl'],
      ['PUT', 'legal-hold', 'PutObjectLegalHold'],
      ['PUT', 'retention', 'PutObjectRetention'],
      ['PUT', 'tagging', 'PutObjectTagging'],
      ['PUT', 'encryption', 'UpdateObjectEncryption'],
      ['POST', 'restore', 'RestoreObject'],
      ['DELETE', 'tagging', 'DeleteObjectTagging'],
      ['GET', 'attributes', 'GetObjectAttributes'],
    ] as const) {
      expect(resolve(method, `/B/K?${sub}&versionId=v`)).to.equal(name)
    }
  })

  it('refuses methods that a known sub-resource does not have', () => {
    for (const [method, target] of [
      ['POST', '/B?acl'],
      ['HEAD', '/B?acl'],
      ['DELETE', '/B?versioning'],
      ['PUT', '/B/K?attributes'],
      ['POST', '/B/K'],
      ['PUT', '/'],
      ['HEAD', '/'],
    ] as const) {
      expect(resolve(method, target), target).to.equal('405 MethodNotAllowed')
    }
  })

  it('refuses several sub-resources at once, and halves of a part upload', () => {
    expect(resolve('PUT', '/B/K?uploadId=u')).to.equal('405 MethodNotAllowed')
    for (const target of ['/B/K?acl&tagging', '/B/K?partNumber=1', '/B?list-type=3']) {
      const method = target.startsWith('/B?') ? 'GET' : 'PUT'
      expect(resolve(method, target), target).to.equal('400 InvalidArgument')
    }
  })

  it('names forms, preflights, query calls and annotations', () => {
    const form = { 'content-type': 'multipart/form-data; boundary=x' }
    expect(resolve('POST', '/B', form)).to.equal('PostObject')
    expect(resolve('POST', '/B')).to.equal('412 PreconditionFailed')
    expect(resolve('OPTIONS', '/B/K')).to.equal('PreflightRequest')
    expect(resolve('POST', '/')).to.equal('QueryApi')
    expect(resolve('PUT', '/B/K?annotation&annotationName=a')).to.equal('PutObjectAnnotation')
  })
})
