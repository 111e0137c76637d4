/**
 * Upload forms as browsers send them, signed after AWS's documents and the SDK's presigned posts; nothing here is
 * the product's.
 */
import { createHmac } from 'node:crypto'
import { type Identity, type RequestOptions, signRequest } from './signing.js'
import { sendUnsigned, type WireResponse } from './wire.js'

export type Field = readonly [name: string, value: string]

export interface FormOptions {
  readonly bucket: string
  readonly key: string
  /** Fields beside the key, each with a condition of its own. */
  readonly fields?: Readonly<Record<string, string>>
  /** Conditions beside those of the fields. */
  readonly conditions?: readonly unknown[]
  /** No condition of their own for these. */
  readonly uncovered?: readonly string[]
  readonly expiration?: unknown
  /** Stands in place of the whole document. */
  readonly document?: string
  /** Changes the document before it is signed. */
  readonly change?: (document: Record<string, unknown>) => void
  readonly atMs?: number
  readonly region?: string
}

function hmac(key: Uint8Array | string, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** The fields of a form, signature included. */
export function signForm(identity: Identity, options: FormOptions): Field[] {
  const { bucket, key, fields = {}, conditions = [], uncovered = [], region = 'us-east-1' } = options
  const date = `${new Date(options.atMs ?? Date.now()).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  const scope = [date.slice(0, 8), region, 's3', 'aws4_request']
  const signed = {
    key,
    ...fields,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': [identity.accessKey, ...scope].join('/'),
    'x-amz-date': date,
  }
  const covered = Object.entries(signed).filter(([name]) => !uncovered.includes(name))
  const document: Record<string, unknown> = {
    expiration: options.expiration ?? new Date(Date.now() + 600_000).toISOString(),
    conditions: [{ bucket }, ...covered.map(([name, value]) => ({ [name]: value })), ...conditions],
  }
  options.change?.(document)
  const policy = Buffer.from(options.document ?? JSON.stringify(document)).toString('base64')
  const signing = scope.reduce<Buffer>(
    (secret, step) => hmac(secret, step),
    Buffer.from(`AWS4${identity.secretKey}`),
  )
  return [
    ...Object.entries(signed),
    ['policy', policy],
    ['x-amz-signature', hmac(signing, policy).toString('hex')],
  ]
}

/** The fields with some replaced, taken away (`undefined`) or added. */
export function changed(
  fields: readonly Field[],
  changes: Readonly<Record<string, string | undefined>>,
): Field[] {
  const kept = fields.filter(([name]) => !(name in changes))
  const added = Object.entries(changes).flatMap(([name, value]): Field[] =>
    value === undefined ? [] : [[name, value]],
  )
  return [...kept, ...added]
}

export interface FormFile {
  readonly content: Uint8Array | string
  readonly name?: string
  readonly field?: string
}

export const BOUNDARY = '----form-boundary-7f3a'

/** One part as it stands in the body. */
export function part(disposition: string, content: Uint8Array | string): Buffer {
  return Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`),
    Buffer.from(content),
    Buffer.from('\r\n'),
  ])
}

export function filePart({ content, name, field = 'file' }: FormFile): Buffer {
  return part(`name="${field}"${name === undefined ? '' : `; filename="${name}"`}`, content)
}

/** A whole body. */
export function encodeForm(fields: readonly Field[], ...files: readonly FormFile[]): Buffer {
  return Buffer.concat([
    ...fields.map(([name, value]) => part(`name="${name}"`, value)),
    ...files.map(filePart),
    Buffer.from(`--${BOUNDARY}--\r\n`),
  ])
}

/** Sends a body as a form, or as something else that is posted. */
export function postBody(
  identity: Identity,
  bucket: string,
  body: Uint8Array,
  more: Partial<RequestOptions> = {},
): Promise<WireResponse> {
  return sendUnsigned(identity, formRequest(bucket, body, more))
}

export function formRequest(
  bucket: string,
  body: Uint8Array,
  more: Partial<RequestOptions> = {},
): RequestOptions {
  const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}`, ...more.headers }
  return { path: `/${bucket}`, ...more, method: 'POST', body, headers }
}

/** Signs and sends a form with one file. */
export function postForm(
  identity: Identity,
  options: FormOptions,
  file: FormFile = { content: 'content', name: 'file.txt' },
): Promise<WireResponse> {
  return postBody(identity, options.bucket, encodeForm(signForm(identity, options), file))
}

/** A header signature on a form, which must not count. */
export function signedHeaders(identity: Identity, options: RequestOptions): string {
  return /^authorization: (.*)$/im.exec(signRequest(identity, options).head.toString('latin1'))?.[1] ?? ''
}
