/**
 * Signs requests for this gateway: AWS Signature Version 4, header form, by the same canonical request as it checks.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 */
import { createHash } from 'node:crypto'
import { parseQuery } from '../http/query.js'
import { canonicalRequest, stringToSign } from './canonical-request.js'
import { formatSigningDate } from './signature-claim.js'
import { deriveSigningKey } from './signing-keys.js'

const EMPTY_SHA256 = createHash('sha256').digest('hex')
const SERVICE = 's3'

/** A request without a body, and who sends it. */
export interface RequestToSign {
  readonly method: string
  readonly url: URL
  readonly region: string
  readonly credentials: { readonly accessKey: string; readonly secretKey: string }
  readonly nowMs: number
  /** Further headers, signed with the rest; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/** All headers of the signed request. Throws `S3Error` if the URL's query cannot be decoded. */
export function signRequest(request: RequestToSign): Record<string, string> {
  const { method, url, region, credentials } = request
  const date = formatSigningDate(request.nowMs)
  const day = date.slice(0, 8)
  const scope = `${day}/${region}/${SERVICE}/aws4_request`
  const headers = {
    ...request.headers,
    host: url.host,
    'x-amz-content-sha256': EMPTY_SHA256,
    'x-amz-date': date,
  }
  const signedHeaders = Object.keys(headers).sort()
  const signedHeaderList = signedHeaders.join(';')
  const canonical = canonicalRequest({
    method,
    rawPath: url.pathname,
    query: parseQuery(url.search.slice(1)),
    headers,
    signedHeaders,
    signedHeaderList,
    host: url.host,
    payloadHash: EMPTY_SHA256,
  })
  const key = deriveSigningKey(credentials.secretKey, { day, region, service: SERVICE })
  const signature = key.sign(stringToSign({ date, scope }, canonical)).toString('hex')
  const credential = `Credential=${credentials.accessKey}/${scope}`
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${signedHeaderList}, Signature=${signature}`
  return { ...headers, authorization }
}
