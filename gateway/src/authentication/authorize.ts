import { S3Error } from '../errors.js'
import type { OperationName } from '../operations/table.js'
import type { Principal } from './principal.js'

export interface AuthorizationRequest {
  readonly operation: OperationName
  readonly bucket: string
  readonly key: string
}

/**
 * The one place that lets a request through. Denies by default: only the root account exists so far, and it may
 * do everything; nobody else may do anything, but for asking the root, which shows a stranger nothing. Throws
 * `AccessDenied`.
 */
export function authorize(principal: Principal, request: AuthorizationRequest): void {
  switch (principal.kind) {
    case 'account':
      return
    case 'anonymous':
      if (request.operation === 'ListBuckets') return
      throw new S3Error('AccessDenied')
    default:
      throw unknownPrincipal(principal)
  }
}

function unknownPrincipal(principal: never): S3Error {
  return new S3Error('AccessDenied', undefined, { cause: principal })
}
