import type { Tag } from '@cairn/protocol'
import { canonicalIdOf } from '../../authentication/principal.js'
import { document, element } from '../../xml/writer.js'
import { checksumHeaders, readAttributes } from '../objects/attributes.js'
import { writePreconditions } from '../objects/conditions.js'
import { quoted, writtenVersionId } from '../objects/object-headers.js'
import { objectLocation } from '../objects/object-location.js'
import { OBJECT_TAGS_MAX, parseTagging } from '../objects/tag-set.js'
import type { Operation, OperationContext, ResponseHeaders, S3Response } from '../types.js'
import { type FormAnswer, readFormAnswer } from './form-fields.js'

/**
 * `POST /B` with a form: stores its file, as PutObject stores a body. The headers of the context are made of the
 * form's fields; signature and policy were checked before, and the body enforces the policy's size as it flows.
 */
export const postObject: Operation = { name: 'PostObject', handle }

async function handle(context: OperationContext): Promise<S3Response> {
  const { headers, config } = context
  const answer = readFormAnswer(headers)
  const tags = readTags(headers.tagging)
  const attributes = { ...readAttributes(headers), ...(tags.length === 0 ? {} : { tags }) }
  const preconditions = writePreconditions(headers, config.compatibility)
  const { body, ...sealing } = context.openBody()
  const { etag, versionId, checksum } = await context.client.putObject(context.bucket, context.key, body, {
    ...sealing,
    attributes,
    owner: canonicalIdOf(context.principal),
    signal: context.signal,
    ...(preconditions === undefined ? {} : { preconditions }),
  })
  return successResponse(context, answer, quoted(etag), {
    'x-amz-version-id': writtenVersionId(versionId, config.compatibility),
    ...checksumHeaders(checksum),
  })
}

/** The `tagging` field: a document, where the header of a PUT is a query string. */
function readTags(text: string | undefined): readonly Tag[] {
  return text === undefined || text === '' ? [] : parseTagging(Buffer.from(text), OBJECT_TAGS_MAX)
}

function successResponse(
  context: OperationContext,
  answer: FormAnswer,
  etag: string,
  more: ResponseHeaders,
): S3Response {
  const { bucket, key } = context
  if (answer.kind === 'redirect') {
    return {
      status: 303,
      headers: { ETag: etag, ...more, Location: redirectTo(answer.url, { bucket, key, etag }) },
    }
  }
  const location = objectLocation(context)
  const headers = { ETag: etag, ...more, Location: location }
  if (answer.status !== 201) return { status: answer.status, headers }
  const content =
    element('Location', location) + element('Bucket', bucket) + element('Key', key) + element('ETag', etag)
  return {
    status: 201,
    headers: { ...headers, 'Content-Type': 'application/xml' },
    body: document('PostResponse', content),
  }
}

/** The page the form asks for, told what was stored. */
function redirectTo(url: URL, stored: Readonly<Record<'bucket' | 'key' | 'etag', string>>): string {
  const pairs = Object.entries(stored).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  const target = new URL(url)
  target.search = [...(url.search === '' ? [] : [url.search.slice(1)]), ...pairs].join('&')
  return target.href
}
