/**
 * `?acl`: ownership is enforced, so that the bucket's owner has full control and no ACL changes that, as in every
 * bucket that S3 makes by default.
 */
import { S3Error } from '../../errors.js'
import { document, element, parent } from '../../xml/writer.js'
import { grantsAccess } from '../objects/attributes.js'
import { refusingMarker } from '../objects/current-marker.js'
import { versionHeader } from '../objects/object-headers.js'
import { userXml } from '../owner-xml.js'
import { readVersionId } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `GET /B?acl`: full control for the owner. */
export const getBucketAcl: Operation = { name: 'GetBucketAcl', handle: ofBucket }

/** `GET /B/K?acl`: full control for the owner. */
export const getObjectAcl: Operation = { name: 'GetObjectAcl', handle: ofObject }

/** `PUT /B?acl`: only what changes nothing. */
export const putBucketAcl: Operation = { name: 'PutBucketAcl', handle: refuseForBucket }

/** `PUT /B/K?acl`: only what changes nothing. */
export const putObjectAcl: Operation = { name: 'PutObjectAcl', handle: refuseForObject }

async function ofBucket(context: OperationContext): Promise<S3Response> {
  const { owner } = await context.client.getBucket(context.bucket, { signal: context.signal })
  return xmlResponse(aclXml(owner, context))
}

async function ofObject(context: OperationContext): Promise<S3Response> {
  const { owner, headers } = await describe(context)
  return xmlResponse(aclXml(owner, context), headers)
}

async function refuseForBucket(context: OperationContext): Promise<S3Response> {
  await context.client.getBucket(context.bucket, { signal: context.signal })
  requireNeutral(context)
  return { status: 200 }
}

async function refuseForObject(context: OperationContext): Promise<S3Response> {
  const { headers } = await refusingMarker(describe(context))
  requireNeutral(context)
  return { status: 200, headers }
}

async function describe(
  context: OperationContext,
): Promise<{ owner: string; headers: Readonly<Record<string, string | number | undefined>> }> {
  const { client, bucket, key, query, signal } = context
  const versionId = readVersionId(query)
  const { object, versioning } = await client.openObject(bucket, key, {
    signal,
    ...(versionId === undefined ? {} : { versionId }),
  })
  return { owner: object.owner, headers: versionHeader(versioning, object.versionId) }
}

/** A document is refused unread: whatever it grants, it is not ours to give. */
function requireNeutral({ headers }: OperationContext): void {
  const asksNothing = headers['x-amz-acl'] !== undefined && !grantsAccess(headers)
  if (!asksNothing) throw new S3Error('AccessControlListNotSupported')
}

function aclXml(owner: string, context: OperationContext): string {
  const user = userXml(owner, context)
  const grantee = `<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">${user}</Grantee>`
  const grant = parent('Grant', grantee + element('Permission', 'FULL_CONTROL'))
  return document('AccessControlPolicy', parent('Owner', user) + parent('AccessControlList', grant))
}
