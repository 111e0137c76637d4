import type { ReadRange } from '@cairn/client'
import { document, element, formatTime } from '../../xml/writer.js'
import { answerInTime } from '../early-answer.js'
import { refuseUnbuilt } from '../objects/attributes.js'
import { partChecksumXml } from '../objects/checksum-xml.js'
import {
  checkCopySize,
  copyFrom,
  type OpenedSource,
  openSource,
  sourceVersionHeader,
} from '../objects/copy-object.js'
import { readCopySource } from '../objects/copy-source.js'
import { quoted } from '../objects/object-headers.js'
import { parseCopyRange } from '../objects/ranges.js'
import { readUploadId } from '../parameters.js'
import { xmlResponse } from '../response.js'
import type { Operation, OperationContext, S3Response } from '../types.js'
import { requirePartNumber } from './upload-part.js'

/** `PUT /B/K?partNumber&uploadId` with `x-amz-copy-source`: a part that refers to another object's blocks. */
export const uploadPartCopy: Operation = { name: 'UploadPartCopy', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const upload = { bucket: context.bucket, key: context.key, uploadId: readUploadId(context.query) }
  const partNumber = requirePartNumber(context)
  refuseUnbuilt(context.headers)
  const header = readCopySource(context.headers)
  const first = await openSource(context, header)
  rangeIn(context, first)
  const info = await context.client.getUpload(upload, { signal: context.signal })
  return answerInTime(context, () =>
    copyFrom(context, header, first, async (source) => {
      const { client, signal } = context
      const range = rangeIn(context, source)
      const part = await client.copyPart(upload, partNumber, source.reference, range, { signal })
      const content =
        element('LastModified', formatTime(part.modifiedMs)) +
        element('ETag', quoted(part.etag)) +
        partChecksumXml(part, info)
      return xmlResponse(document('CopyPartResult', content), sourceVersionHeader(source.opened))
    }),
  )
}

/** The range that is asked for; all of the source if it is `undefined`. */
function rangeIn({ headers }: OperationContext, { opened }: OpenedSource): ReadRange | undefined {
  const { sizeBytes } = opened.object
  const range = parseCopyRange(headers['x-amz-copy-source-range'], sizeBytes)
  checkCopySize(range?.length ?? sizeBytes)
  return range
}
