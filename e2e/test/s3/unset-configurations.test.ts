/** Settings that cannot be made yet: reading them answers what S3 says of a bucket where they were never set. */
import {
  CreateBucketCommand,
  GetBucketAclCommand,
  GetBucketNotificationConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketRequestPaymentCommand,
  GetObjectAclCommand,
  ListBucketInventoryConfigurationsCommand,
  PutBucketAclCommand,
  PutObjectAclCommand,
} from '@aws-sdk/client-s3'
import { expect } from 'chai'
import type { Identity } from './support/signing.js'
import { send } from './support/wire.js'
import { freshName, START_TIMEOUT_MS, startWorld, type World } from './support/world.js'
import { expectError, refusalOf, text } from './support/xml.js'

const ABSENT = [
  ['policy', 'NoSuchBucketPolicy'],
  ['policyStatus', 'NoSuchBucketPolicy'],
  ['lifecycle', 'NoSuchLifecycleConfiguration'],
  ['encryption', 'ServerSideEncryptionConfigurationNotFoundError'],
  ['object-lock', 'ObjectLockConfigurationNotFoundError'],
  ['website', 'NoSuchWebsiteConfiguration'],
  ['replication', 'ReplicationConfigurationNotFoundError'],
  ['publicAccessBlock', 'NoSuchPublicAccessBlockConfiguration'],
  ['inventory&id=one', 'NoSuchConfiguration'],
  ['metrics&id=one', 'NoSuchConfiguration'],
  ['analytics&id=one', 'NoSuchConfiguration'],
  ['intelligent-tiering&id=one', 'NoSuchConfiguration'],
] as const

const DEFAULTS = [
  ['requestPayment', 'RequestPaymentConfiguration'],
  ['accelerate', 'AccelerateConfiguration'],
  ['logging', 'BucketLoggingStatus'],
  ['notification', 'NotificationConfiguration'],
  ['ownershipControls', 'OwnershipControls'],
  ['inventory', 'ListInventoryConfigurationsResult'],
  ['metrics', 'ListMetricsConfigurationsResult'],
  ['analytics', 'ListBucketAnalyticsConfigurationResult'],
  ['intelligent-tiering', 'ListBucketIntelligentTieringConfigurationsOutput'],
] as const

describe('settings that are not set', () => {
  let world: World
  let server: Identity
  const Bucket = freshName()

  before(async function () {
    this.timeout(START_TIMEOUT_MS)
    world = await startWorld('unset')
    server = world.server
    await world.s3.send(new CreateBucketCommand({ Bucket }))
    await send(server, { method: 'PUT', path: `/${Bucket}/key`, body: 'content' })
  })

  after(async function () {
    this.timeout(START_TIMEOUT_MS)
    await world?.stop()
  })

  it('answer 404 by their own codes', async () => {
    for (const [query, code] of ABSENT) {
      expectError(await send(server, { path: `/${Bucket}`, query }), 404, code)
      expectError(await send(server, { path: '/absent-bucket', query }), 404, 'NoSuchBucket')
    }
  })

  it('answer their defaults', async () => {
    for (const [query, root] of DEFAULTS) {
      const response = await send(server, { path: `/${Bucket}`, query })
      expect(response.status, response.text).to.equal(200)
      expect(response.text).to.match(new RegExp(`<${root}[ >]`))
      expectError(await send(server, { path: '/absent-bucket', query }), 404, 'NoSuchBucket')
    }
  })

  it('are read by the SDK', async () => {
    expect((await world.s3.send(new GetBucketRequestPaymentCommand({ Bucket }))).Payer).to.equal(
      'BucketOwner',
    )
    const controls = await world.s3.send(new GetBucketOwnershipControlsCommand({ Bucket }))
    expect(controls.OwnershipControls?.Rules).to.deep.equal([{ ObjectOwnership: 'BucketOwnerEnforced' }])
    const inventory = await world.s3.send(new ListBucketInventoryConfigurationsCommand({ Bucket }))
    expect(inventory.IsTruncated).to.equal(false)
    await world.s3.send(new GetBucketNotificationConfigurationCommand({ Bucket }))
  })

  it('can be deleted, which changes nothing', async () => {
    for (const query of [
      'policy',
      'lifecycle',
      'encryption',
      'website',
      'replication',
      'publicAccessBlock',
    ]) {
      expect((await send(server, { method: 'DELETE', path: `/${Bucket}`, query })).status).to.equal(204)
    }
    expect((await send(server, { path: `/${Bucket}/key` })).text).to.equal('content')
  })

  it('of locks say that the bucket has none', async () => {
    for (const query of ['retention', 'legal-hold']) {
      expectError(await send(server, { path: `/${Bucket}/key`, query }), 400, 'InvalidRequest')
    }
  })

  it('of ACLs give the owner full control, and take nothing else', async () => {
    const ofBucket = await world.s3.send(new GetBucketAclCommand({ Bucket }))
    const ofObject = await world.s3.send(new GetObjectAclCommand({ Bucket, Key: 'key' }))
    for (const { Owner, Grants } of [ofBucket, ofObject]) {
      expect(Owner?.ID).to.match(/^[0-9a-f]{64}$/)
      expect(Grants).to.deep.equal([
        { Grantee: { ID: Owner?.ID, Type: 'CanonicalUser' }, Permission: 'FULL_CONTROL' },
      ])
    }
    const refused = { code: 'AccessControlListNotSupported', status: 400 }
    const readable = { ACL: 'public-read' } as const
    expect(await refusalOf(world.s3.send(new PutBucketAclCommand({ Bucket, ...readable })))).to.deep.equal(
      refused,
    )
    const ofKey = new PutObjectAclCommand({ Bucket, Key: 'key', ...readable })
    expect(await refusalOf(world.s3.send(ofKey))).to.deep.equal(refused)
    await world.s3.send(new PutBucketAclCommand({ Bucket, ACL: 'private' }))
    expectError(await send(server, { path: `/${Bucket}/absent`, query: 'acl' }), 404, 'NoSuchKey')
  })

  it('compare the expected owner by account id and canonical id', async () => {
    const { text: acl } = await send(server, { path: `/${Bucket}`, query: 'acl' })
    const canonical = { 'x-amz-expected-bucket-owner': text(acl, 'ID') ?? '' }
    expect((await send(server, { path: `/${Bucket}`, headers: canonical })).status).to.equal(200)
    const other = { 'x-amz-expected-bucket-owner': '123456789012' }
    expectError(await send(server, { path: `/${Bucket}`, headers: other }), 403, 'AccessDenied')
  })
})
