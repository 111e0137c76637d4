/**
 * SigV4 by hand, after AWS's documents and sharing no code with the product: whole requests by header or query,
 * and the signature chain of aws-chunked bodies.
 */
import { createHash, createHmac } from 'node:crypto'
import type { Server } from '../../../src/harness/server.js'

export type Identity = Pick<Server, 'endpoint' | 'accessKey' | 'secretKey'>

export interface RequestOptions {
  readonly method?: string
  /** As it goes onto the wire, encoded by the caller. */
  readonly path: string
  /** As it goes onto the wire, without `?`. */
  readonly query?: string
  /** Signed headers. A value of latin1 text, byte for byte. */
  readonly headers?: Readonly<Record<string, string>>
  /** Sent, but not signed. */
  readonly unsigned?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** `x-amz-content-sha256`; the hash of the body unless given. */
  readonly payload?: string
  /** The time of signing; now unless given. */
  readonly atMs?: number
  readonly region?: string
  readonly host?: string
  /** No `Content-Length` of its own accord. */
  readonly withoutLength?: boolean
}

export interface SignedRequest {
  readonly method: string
  /** Request line, headers and the empty line. */
  readonly head: Buffer
  readonly body: Buffer
  readonly signing: Signing
}

/** What the signatures of chunks continue from. */
export interface Signing {
  readonly key: Buffer
  readonly date: string
  readonly scope: string
  readonly signature: string
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function hmac(key: Uint8Array | string, text: string): Buffer {
  return createHmac('sha256', key).update(text, 'latin1').digest()
}

function formatDate(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
}

function signingKey(secretKey: string, date: string, region: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secretKey}`, date.slice(0, 8)), region), 's3'), 'aws4_request')
}

function canonicalQuery(query: string): string {
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair] as const)
    .sort(([a, left], [b, right]) => (a === b ? Number(left > right) - 0.5 : a < b ? -1 : 1))
    .map(([, pair]) => pair)
    .join('&')
}

interface ToSign {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly payload: string
}

/** Sorted names, and the string whose hash is signed. */
function canonical({ method, path, query, headers, payload }: ToSign): { names: string; text: string } {
  const sorted = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value.trim().replace(/ +/g, ' ')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const names = sorted.map(([name]) => name).join(';')
  const lines = sorted.map(([name, value]) => `${name}:${value}\n`).join('')
  return { names, text: [method, path, canonicalQuery(query), lines, names, payload].join('\n') }
}

function signatureOf(key: Buffer, date: string, scope: string, text: string): string {
  const digest = sha256(Buffer.from(text, 'latin1'))
  return hmac(key, `AWS4-HMAC-SHA256\n${date}\n${scope}\n${digest}`).toString('hex')
}

/** A request signed by its `Authorization` header. */
export function signRequest(identity: Identity, options: RequestOptions): SignedRequest {
  const { method = 'GET', path, query = '', region = 'us-east-1' } = options
  const body = Buffer.from(options.body ?? '')
  const date = formatDate(options.atMs ?? Date.now())
  const payload = options.payload ?? sha256(body)
  const host = options.host ?? new URL(identity.endpoint).host
  const signed = { host, ...options.headers, 'x-amz-content-sha256': payload, 'x-amz-date': date }
  const { names, text } = canonical({ method, path, query, headers: signed, payload })
  const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`
  const key = signingKey(identity.secretKey, date, region)
  const signature = signatureOf(key, date, scope, text)
  const authorization = `AWS4-HMAC-SHA256 Credential=${identity.accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`
  const headers = { ...signed, authorization, ...options.unsigned, ...lengthOf(options, body) }
  return {
    method,
    head: requestHead(method, path, query, headers),
    body,
    signing: { key, date, scope, signature },
  }
}

function lengthOf(options: RequestOptions, body: Buffer): Record<string, string> {
  const given = { ...options.headers, ...options.unsigned }
  const names = Object.keys(given).map((name) => name.toLowerCase())
  const framed = names.includes('content-length') || names.includes('transfer-encoding')
  if (framed || options.withoutLength === true) return {}
  const { method = 'GET' } = options
  return body.length > 0 || method === 'PUT' || method === 'POST'
    ? { 'content-length': String(body.length) }
    : {}
}

/** A request without any signature. */
export function unsignedRequest(identity: Identity, options: RequestOptions): SignedRequest {
  const { method = 'GET', path, query = '' } = options
  const body = Buffer.from(options.body ?? '')
  const host = options.host ?? new URL(identity.endpoint).host
  const headers = { host, ...options.headers, ...options.unsigned, ...lengthOf(options, body) }
  const signing = { key: Buffer.alloc(0), date: '', scope: '', signature: '' }
  return { method, head: requestHead(method, path, query, headers), body, signing }
}

function requestHead(
  method: string,
  path: string,
  query: string,
  headers: Readonly<Record<string, string>>,
): Buffer {
  const target = query === '' ? path : `${path}?${query}`
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1')
}

export interface PresignOptions {
  readonly method?: string
  readonly path: string
  /** Further parameters, name to value, not encoded. */
  readonly parameters?: Readonly<Record<string, string>>
  /** Headers that the user of the URL must send as they are. */
  readonly headers?: Readonly<Record<string, string>>
  readonly expires?: string
  readonly atMs?: number
}

/** The query of a presigned URL, to be sent with `path`. */
export function presignQuery(identity: Identity, options: PresignOptions): string {
  const { method = 'GET', path, parameters = {}, expires = '3600' } = options
  const date = formatDate(options.atMs ?? Date.now())
  const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`
  const headers = { host: new URL(identity.endpoint).host, ...options.headers }
  const names = Object.keys(headers)
    .map((name) => name.toLowerCase())
    .sort()
    .join(';')
  const all = {
    ...parameters,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${identity.accessKey}/${scope}`,
    'X-Amz-Date': date,
    'X-Amz-Expires': expires,
    'X-Amz-SignedHeaders': names,
  }
  const query = Object.entries(all)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&')
  const { text } = canonical({ method, path, query, headers, payload: 'UNSIGNED-PAYLOAD' })
  const signature = signatureOf(signingKey(identity.secretKey, date, 'us-east-1'), date, scope, text)
  return `${query}&X-Amz-Signature=${signature}`
}

/** RFC 3986, as SigV4 wants it. */
export function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A key as it stands in a path: slashes are kept. */
export function encodeKey(key: string): string {
  return encode(key).replaceAll('%2F', '/')
}

const EMPTY = sha256('')

/** An aws-chunked body whose chunks are signed, the last and empty one included; with a signed trailer if given. */
export function signedFrames(
  signing: Signing,
  chunks: readonly Uint8Array[],
  trailers?: Readonly<Record<string, string>>,
): Buffer {
  const { key, date, scope } = signing
  let previous = signing.signature
  const pieces: Buffer[] = []
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${date}\n${scope}\n${previous}\n${EMPTY}\n${sha256(chunk)}`
    previous = hmac(key, text).toString('hex')
    pieces.push(Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`))
    if (chunk.length > 0) pieces.push(Buffer.from(chunk), Buffer.from('\r\n'))
  }
  if (trailers !== undefined) {
    const entries = Object.entries(trailers)
    const lines = entries.map(([name, value]) => `${name}:${value}\n`).join('')
    const text = `AWS4-HMAC-SHA256-TRAILER\n${date}\n${scope}\n${previous}\n${sha256(lines)}`
    for (const [name, value] of entries) pieces.push(Buffer.from(`${name}:${value}\r\n`))
    pieces.push(Buffer.from(`x-amz-trailer-signature:${hmac(key, text).toString('hex')}\r\n`))
  }
  pieces.push(Buffer.from('\r\n'))
  return Buffer.concat(pieces)
}

/** An aws-chunked body without signatures. */
export function unsignedFrames(
  chunks: readonly Uint8Array[],
  trailers: Readonly<Record<string, string>> = {},
): Buffer {
  const pieces: Buffer[] = []
  for (const chunk of chunks) {
    pieces.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), Buffer.from(chunk), Buffer.from('\r\n'))
  }
  pieces.push(Buffer.from('0\r\n'))
  for (const [name, value] of Object.entries(trailers)) pieces.push(Buffer.from(`${name}:${value}\r\n`))
  pieces.push(Buffer.from('\r\n'))
  return Buffer.concat(pieces)
}
