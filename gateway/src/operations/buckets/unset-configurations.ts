/**
 * Settings of buckets and objects that cannot be made yet: reading one answers what S3 says of a bucket where it was
 * never set, so that tools which read everything go on. Setting one is 501; deleting what is not there succeeds.
 */
import { S3Error, type S3ErrorCode } from '../../errors.js'
import { document, element, parent } from '../../xml/writer.js'
import { xmlResponse } from '../response.js'
import type { OperationName } from '../table.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** The document that says "none", or "the default". */
const DEFAULTS: readonly (readonly [OperationName, root: string, content: string])[] = [
  ['GetBucketRequestPayment', 'RequestPaymentConfiguration', element('Payer', 'BucketOwner')],
  ['GetBucketAccelerateConfiguration', 'AccelerateConfiguration', ''],
  ['GetBucketLogging', 'BucketLoggingStatus', ''],
  ['GetBucketNotificationConfiguration', 'NotificationConfiguration', ''],
  [
    'GetBucketOwnershipControls',
    'OwnershipControls',
    parent('Rule', element('ObjectOwnership', 'BucketOwnerEnforced')),
  ],
  ['ListBucketInventoryConfigurations', 'ListInventoryConfigurationsResult', none()],
  ['ListBucketMetricsConfigurations', 'ListMetricsConfigurationsResult', none()],
  ['ListBucketAnalyticsConfigurations', 'ListBucketAnalyticsConfigurationResult', none()],
  ['ListBucketIntelligentTieringConfigurations', 'ListBucketIntelligentTieringConfigurationsOutput', none()],
]

/** The error that says "never set". */
const ABSENT: readonly (readonly [OperationName, S3ErrorCode])[] = [
  ['GetBucketPolicy', 'NoSuchBucketPolicy'],
  ['GetBucketPolicyStatus', 'NoSuchBucketPolicy'],
  ['GetBucketLifecycleConfiguration', 'NoSuchLifecycleConfiguration'],
  ['GetBucketEncryption', 'ServerSideEncryptionConfigurationNotFoundError'],
  ['GetObjectLockConfiguration', 'ObjectLockConfigurationNotFoundError'],
  ['GetBucketWebsite', 'NoSuchWebsiteConfiguration'],
  ['GetBucketReplication', 'ReplicationConfigurationNotFoundError'],
  ['GetPublicAccessBlock', 'NoSuchPublicAccessBlockConfiguration'],
  ['GetBucketInventoryConfiguration', 'NoSuchConfiguration'],
  ['GetBucketMetricsConfiguration', 'NoSuchConfiguration'],
  ['GetBucketAnalyticsConfiguration', 'NoSuchConfiguration'],
  ['GetBucketIntelligentTieringConfiguration', 'NoSuchConfiguration'],
]

/** Deletes that succeed where nothing is set, as in S3. */
const NOTHING_TO_DELETE: readonly OperationName[] = [
  'DeleteBucketPolicy',
  'DeleteBucketLifecycle',
  'DeleteBucketEncryption',
  'DeleteBucketWebsite',
  'DeleteBucketReplication',
  'DeletePublicAccessBlock',
]

/** Settings of an object that only a bucket with object lock has. */
const LOCKS: readonly OperationName[] = ['GetObjectRetention', 'GetObjectLegalHold']

/** One operation for each setting. All answer `NoSuchBucket` for a bucket that is not there. */
export const unsetConfigurations: readonly Operation[] = [
  ...DEFAULTS.map(([name, root, content]) =>
    ofBucket(name, async () => xmlResponse(document(root, content))),
  ),
  ...ABSENT.map(([name, code]) =>
    ofBucket(name, async () => {
      throw new S3Error(code)
    }),
  ),
  ...NOTHING_TO_DELETE.map((name) => ofBucket(name, async () => ({ status: 204 }))),
  ...LOCKS.map((name) =>
    ofBucket(name, async () => {
      throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration')
    }),
  ),
]

function none(): string {
  return element('IsTruncated', false)
}

function ofBucket(
  name: OperationName,
  answer: (context: OperationContext) => Promise<S3Response>,
): Operation {
  return {
    name,
    async handle(context) {
      await context.client.getBucket(context.bucket, { signal: context.signal })
      return answer(context)
    },
  }
}
