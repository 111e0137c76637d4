/**
 * An upload by form on its way to the operation: fields, signature, authorisation, policy, and the file as a body
 * that ends with an error beyond the size its policy allows. Nothing of the request's own headers is signed, so
 * none of them decides what is stored.
 */
import type { AuthenticationSettings } from '../authentication/authenticate.js'
import { authorize } from '../authentication/authorize.js'
import { S3Error } from '../errors.js'
import { FORM_HEAD_BYTES_MAX } from '../limits.js'
import { expandFileName, fieldHeaders } from '../operations/forms/form-fields.js'
import { checkPolicy, type SizeRange } from '../operations/forms/form-policy.js'
import { authenticateForm, missingField } from '../operations/forms/form-signature.js'
import type { RequestHeaders } from '../operations/types.js'
import { type FormPart, formTooLarge, type OpenedForm, openForm } from './form.js'
import type { IncomingBody } from './incoming-body.js'
import type { Query } from './query.js'
import type { ContextParts } from './request-context.js'
import { checkKey } from './request-target.js'

export interface FormRequest {
  readonly bucket: string
  readonly query: Query
  /** As received. */
  readonly headers: RequestHeaders
  readonly incoming: IncomingBody
  /** Begins to parse the body, which must not have been read. */
  readonly parts: () => AsyncIterator<FormPart>
  readonly nowMs: number
}

/** What of a request comes from its form. */
export type FormFacts = Pick<ContextParts, 'key' | 'headers' | 'authentication' | 'body'>

/** Parameters that sign a request in its query. */
const SIGNED_QUERY = ['X-Amz-Signature', 'X-Amz-Algorithm', 'Signature', 'AWSAccessKeyId'] as const

/** Request headers that guard an upload and widen nothing. */
const GUARDS = ['host', 'if-match', 'if-none-match', 'x-amz-expected-bucket-owner'] as const

/** Resolves when the file begins. Throws `S3Error` for whatever does not allow the upload. */
export async function openFormRequest(
  request: FormRequest,
  settings: AuthenticationSettings,
): Promise<FormFacts> {
  if (request.headers.authorization !== undefined || SIGNED_QUERY.some((name) => request.query.has(name))) {
    throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed: a form is signed by its policy.')
  }
  const { fileName, file, ...form } = await readHead(request)
  const { bucket, nowMs } = request
  const fields = expandFileName(form.fields, fileName)
  const principal = await authenticateForm(fields, settings, nowMs)
  const key = fields.get('key') ?? ''
  authorize(principal, { operation: 'PostObject', bucket, key })
  if (!fields.has('key')) throw missingField('key')
  const range = checkPolicy(fields.get('policy') ?? '', { fields, bucket, nowMs })
  if (key === '') throw new S3Error('InvalidArgument', 'User key must have a length greater than 0.')
  checkKey(key)
  return {
    key,
    headers: formHeaders(request.headers, fields),
    authentication: { principal },
    body: withinRange(file, range),
  }
}

/** Fields, and the beginning of the file; `MaxPostPreDataLengthExceeded` if that does not come soon enough. */
function readHead({ incoming, parts }: FormRequest): Promise<OpenedForm> {
  return new Promise((resolve, reject) => {
    incoming.handOver((receivedBytes) => {
      if (receivedBytes > FORM_HEAD_BYTES_MAX) reject(formTooLarge())
    })
    openForm(awaitingParts(parts(), incoming)).then(resolve, reject)
  })
}

/** Tells the body when a part is waited for, so that the watchdog ends forms that give none. */
function awaitingParts(parts: AsyncIterator<FormPart>, incoming: IncomingBody): AsyncIterator<FormPart> {
  return {
    async next() {
      incoming.awaitPart(true)
      try {
        return await parts.next()
      } finally {
        incoming.awaitPart(false)
      }
    },
  }
}

/** The size is not known before the end, as with a chunked PUT. */
function formHeaders(wireHeaders: RequestHeaders, fields: ReadonlyMap<string, string>): RequestHeaders {
  const headers = fieldHeaders(fields)
  for (const name of GUARDS) headers[name] = wireHeaders[name]
  for (const name of ['success_action_redirect', 'redirect', 'success_action_status', 'tagging']) {
    headers[name] = fields.get(name)
  }
  headers['transfer-encoding'] = 'chunked'
  return headers
}

async function* withinRange(file: AsyncIterable<Uint8Array>, range: SizeRange): AsyncIterable<Uint8Array> {
  let sizeBytes = 0
  for await (const bytes of file) {
    sizeBytes += bytes.length
    if (sizeBytes > range.maxBytes) {
      throw new S3Error('EntityTooLarge', undefined, {
        elements: { ProposedSize: String(sizeBytes), MaxSizeAllowed: String(range.maxBytes) },
      })
    }
    yield bytes
  }
  if (sizeBytes < range.minBytes) {
    throw new S3Error('EntityTooSmall', undefined, {
      elements: { ProposedSize: String(sizeBytes), MinSizeAllowed: String(range.minBytes) },
    })
  }
}
