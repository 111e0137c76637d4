import { S3Error } from '../../errors.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { decodeCorsRules, writeCorsRules } from './cors-rules.js'

/** `GET /B?cors`: the rules as they were put. 404 without any. */
export const getBucketCors: Operation = { name: 'GetBucketCors', handle }

async function handle({ bucket, client, signal }: OperationContext): Promise<S3Response> {
  const stored = await client.getBucketConfiguration(bucket, 'cors', { signal })
  if (stored === undefined) throw new S3Error('NoSuchCORSConfiguration')
  return xmlResponse(writeCorsRules(decodeCorsRules(stored)))
}
