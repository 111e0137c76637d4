import type { ResponseHeaders, S3Response } from './types.js'

/** A 200 with an XML document. */
export function xmlResponse(xml: string, headers?: ResponseHeaders): S3Response {
  return { status: 200, headers: { 'Content-Type': 'application/xml', ...headers }, body: xml }
}
