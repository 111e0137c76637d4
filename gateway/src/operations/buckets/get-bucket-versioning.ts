import { document, element } from '../../xml/writer.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `GET /B?versioning`: an empty element for a bucket that was never versioned. */
export const getBucketVersioning: Operation = { name: 'GetBucketVersioning', handle }

const STATUS = { unset: undefined, enabled: 'Enabled', suspended: 'Suspended' } as const

async function handle(context: OperationContext): Promise<S3Response> {
  const { versioning } = await context.client.getBucket(context.bucket, { signal: context.signal })
  return xmlResponse(document('VersioningConfiguration', element('Status', STATUS[versioning])))
}
