import { document, escapeXml } from '../../xml/writer.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `GET /B?location`: empty for us-east-1, as S3 has always had it. */
export const getBucketLocation: Operation = { name: 'GetBucketLocation', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { region } = await context.client.getBucket(context.bucket, { signal: context.signal })
  const xml = document('LocationConstraint', region === 'us-east-1' ? '' : escapeXml(region))
  return xmlResponse(xml)
}
