import type { ServerResponse } from 'node:http'
import type { OperationName } from '../operations/table.js'
import type { RequestHeaders } from '../operations/types.js'
import type { Sender } from './admission.js'
import type { DirectRequest } from './direct-request.js'
import type { FormPart } from './form.js'
import type { IncomingBody } from './incoming-body.js'
import type { RequestContext } from './request-context.js'

/** Begins to parse a body of `multipart/form-data`. */
export type ParseForm = () => AsyncIterator<FormPart>

/** What becomes known of a request on its way; whatever is missing was not reached. */
export interface Exchange {
  readonly request: DirectRequest
  readonly response: ServerResponse
  readonly rawTarget: string
  readonly requestId: string
  readonly nowMs: number
  readonly startedMs: number
  readonly incoming: IncomingBody
  readonly parseForm: ParseForm | undefined
  /** Of the peer. */
  readonly address: string
  headers: RequestHeaders | undefined
  bucket: string
  operation: OperationName | undefined
  bytesOut: number
  /** What its operation was given. */
  context: RequestContext | undefined
  /** Whose turn it has, to be left in the end. */
  admitted: Sender | undefined
}
