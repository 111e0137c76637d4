/**
 * Signs requests of the command to its own server: AWS Signature Version 4, header form, empty body.
 * Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
 */
import { createHash, createHmac } from 'node:crypto'
import type { RootCredentials } from '../data-folder.js'

const EMPTY_SHA256 = createHash('sha256').digest('hex')
const SIGNED_HEADERS = 'host;x-amz-content-sha256;x-amz-date'

export interface RequestToSign {
  readonly method: string
  readonly url: URL
  readonly region: string
  readonly credentials: RootCredentials
  readonly nowMs: number
}

/** The headers that make the request one of the root account. The URL's query must be encoded already. */
export function signRequest(request: RequestToSign): Record<string, string> {
  const { method, url, region, credentials } = request
  const date = new Date(request.nowMs).toISOString().replace(/[-:]|\.\d+/g, '')
  const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`
  const query = url.search.slice(1).split('&').sort().join('&')
  const headers = { host: url.host, 'x-amz-content-sha256': EMPTY_SHA256, 'x-amz-date': date }
  const canonical = [
    method,
    url.pathname,
    query,
    ...Object.entries(headers).map(([name, value]) => `${name}:${value}`),
    '',
    SIGNED_HEADERS,
    EMPTY_SHA256,
  ].join('\n')
  const digest = createHash('sha256').update(canonical).digest('hex')
  const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${digest}`
  const key = scope
    .split('/')
    .reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${credentials.secretKey}`)
  const signature = hmac(key, text).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope}, SignedHeaders=${SIGNED_HEADERS}, Signature=${signature}`
  return { ...headers, authorization }
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
