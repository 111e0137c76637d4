/** AWS Signature Version 4 by header, payload unsigned; shares no code with the product. */
import { createHash, createHmac } from 'node:crypto'

export interface Target {
  /** For example `http://127.0.0.1:9000`. */
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function encodePath(path: string): string {
  return path
    .split('/')
    .map((part) => encodeURIComponent(part))
    .join('/')
}

/**
 * The bytes of a signed request head, ready to be sent within 15 minutes.
 * @param path `/bucket/key`, not encoded
 * @param query canonical query string, already encoded and sorted
 */
export function signedHead(
  target: Target,
  method: string,
  path: string,
  query: string,
  contentLength: number,
): Buffer {
  const host = target.endpoint.replace(/^https?:\/\//, '')
  const now = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = now.slice(0, 8)
  const scope = `${day}/${target.region}/s3/aws4_request`
  const names = 'host;x-amz-content-sha256;x-amz-date'
  const canonical = [
    method,
    encodePath(path),
    query,
    `host:${host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:${now}\n`,
    names,
    'UNSIGNED-PAYLOAD',
  ].join('\n')
  const digest = createHash('sha256').update(canonical).digest('hex')
  let key: string | Buffer = `AWS4${target.secretKey}`
  for (const part of [day, target.region, 's3', 'aws4_request']) key = hmac(key, part)
  const signature = createHmac('sha256', key)
    .update(`AWS4-HMAC-SHA256\n${now}\n${scope}\n${digest}`)
    .digest('hex')
  const credential = `${target.accessKey}/${scope}`
  return Buffer.from(
    `${method} ${encodePath(path)}${query === '' ? '' : `?${query}`} HTTP/1.1\r\n` +
      `host: ${host}\r\nx-amz-date: ${now}\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n` +
      `authorization: AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}\r\n` +
      `content-length: ${contentLength}\r\n\r\n`,
  )
}
