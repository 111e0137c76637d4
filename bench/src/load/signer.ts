/** AWS Signature Version 4 by header, payload unsigned; shares no code with the product. */
import { createHash, createHmac } from 'node:crypto'
import type { Target } from '../target.js'

/** A request without its body. */
export interface RequestLine {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** `/bucket/key`, not encoded. */
  readonly path: string
  /** Canonical query string: encoded and sorted. */
  readonly query?: string
  readonly contentLength?: number
  /** Further headers, names in lower case; all are signed. */
  readonly headers?: Readonly<Record<string, string>>
}

const KEYS = new Map<string, Buffer>()

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function signingKey(target: Target, day: string): Buffer {
  const name = `${day}/${target.region}/${target.secretKey}`
  const known = KEYS.get(name)
  if (known !== undefined) return known
  const dayKey = hmac(`AWS4${target.secretKey}`, day)
  const key = hmac(hmac(hmac(dayKey, target.region), 's3'), 'aws4_request')
  KEYS.set(name, key)
  return key
}

function encodePath(path: string): string {
  return path
    .split('/')
    .map((part) => encodeURIComponent(part).replace(/[!'()*]/g, percent))
    .join('/')
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}

/** The bytes of a signed request head; good for 15 minutes. */
export function signedHead(target: Target, request: RequestLine): Buffer {
  const now = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = `${now.slice(0, 8)}/${target.region}/s3/aws4_request`
  const host = target.endpoint.replace(/^https?:\/\//, '')
  const headers = Object.entries({
    ...request.headers,
    host,
    'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
    'x-amz-date': now,
  }).sort(([a], [b]) => (a < b ? -1 : 1))
  const names = headers.map(([name]) => name).join(';')
  const path = encodePath(request.path)
  const { method, query = '', contentLength = 0 } = request
  const lines = headers.map(([name, value]) => `${name}:${value}\n`).join('')
  const canonical = [method, path, query, lines, names, 'UNSIGNED-PAYLOAD'].join('\n')
  const digest = createHash('sha256').update(canonical).digest('hex')
  const signature = hmac(
    signingKey(target, now.slice(0, 8)),
    `AWS4-HMAC-SHA256\n${now}\n${scope}\n${digest}`,
  ).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${target.accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`
  return Buffer.from(
    `${method} ${path}${query === '' ? '' : `?${query}`} HTTP/1.1\r\n` +
      headers.map(([name, value]) => `${name}: ${value}\r\n`).join('') +
      `authorization: ${authorization}\r\ncontent-length: ${contentLength}\r\n\r\n`,
  )
}
