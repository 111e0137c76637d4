import type { S3Error } from '../errors.js'
import type { S3Response } from '../operations/types.js'
import { element, plainDocument } from '../xml/writer.js'
import { errorElements, type FailedRequest } from './error-elements.js'

export interface ErrorFacts {
  /** The path as it was sent. */
  readonly resource: string
  readonly requestId: string
  readonly hostId: string
  /** Missing where there was none to be read. */
  readonly request?: FailedRequest
  /** Of the bucket, for clients that find it by the answer. */
  readonly region?: string
}

/** An error as S3 writes it. A redirect or a 304 is none of these. */
export function errorResponse(error: S3Error, facts: ErrorFacts): S3Response {
  return {
    status: error.status,
    headers: { 'Content-Type': 'application/xml', 'x-amz-bucket-region': facts.region, ...error.headers },
    body: errorDocument(error, facts),
  }
}

/** The XML alone, for answers that are written past Node's own response. */
export function errorDocument(error: S3Error, facts: ErrorFacts): string {
  let content = element('Code', error.code) + element('Message', error.message)
  const elements = facts.request === undefined ? error.elements : errorElements(error, facts.request)
  for (const [name, value] of Object.entries(elements)) content += element(name, value)
  content += element('Resource', facts.resource)
  content += element('RequestId', facts.requestId) + element('HostId', facts.hostId)
  return plainDocument('Error', content)
}
