import { S3Error } from '../../errors.js'
import { readDocument } from '../../payload/read-document.js'
import { findText, parseXml } from '../../xml/reader.js'
import type { Operation, OperationContext, S3Response } from '../types.js'

/** `PUT /B?versioning`: Enabled or Suspended; there is no way back to "never versioned". */
export const putBucketVersioning: Operation = { name: 'PutBucketVersioning', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const configuration = parseXml(await readDocument(context), 'VersioningConfiguration')
  const status = findText(configuration, 'Status')
  if (status === undefined) throw new S3Error('IllegalVersioningConfigurationException')
  if (status !== 'Enabled' && status !== 'Suspended') {
    throw new S3Error('MalformedXML')
  }
  if ((findText(configuration, 'MfaDelete') ?? 'Disabled') !== 'Disabled') {
    throw new S3Error('NotImplemented', 'MFA delete is not implemented.')
  }
  const versioning = status === 'Enabled' ? 'enabled' : 'suspended'
  await context.client.setBucketVersioning(context.bucket, versioning, { signal: context.signal })
  return { status: 200 }
}
