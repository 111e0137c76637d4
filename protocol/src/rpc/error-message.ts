/** Errors as they cross the wire. Only `CairnError` codes do; the text of an internal error stays at home. */
import { CairnError, ERROR_CODES, type ErrorCode } from '../errors.js'
import { integer, type Message, message, required, text, textMap } from '../message.js'
import { MESSAGE_CONTENT_BYTES_MAX } from './frame.js'
import { ERROR_TEXT_MAX } from './limits.js'

interface ErrorMessage {
  readonly code: number
  readonly message: string
  readonly details: Record<string, string>
}

const ErrorMessage: Message<ErrorMessage> = message<ErrorMessage>('RpcError', 1, {
  code: required(1, integer),
  message: required(2, text),
  details: required(3, textMap),
})

const codeNames: ReadonlyMap<number, ErrorCode> = new Map(
  Object.entries(ERROR_CODES).map(([name, number]) => [number, name as ErrorCode]),
)

/** Content of an ERROR frame. Over-long text is cut, over-long details are left out. */
export function encodeError(error: CairnError): Uint8Array {
  const code = ERROR_CODES[error.code]
  const cut = error.message.slice(0, ERROR_TEXT_MAX)
  const encoded = ErrorMessage.encode({ code, message: cut, details: error.details })
  if (encoded.length <= MESSAGE_CONTENT_BYTES_MAX) return encoded
  return ErrorMessage.encode({ code, message: cut, details: {} })
}

/** The error in an ERROR frame. A code that only a newer peer knows becomes `Internal`. */
export function decodeError(content: Uint8Array): CairnError {
  const { code, message: words, details } = ErrorMessage.decode(content)
  const name = codeNames.get(code)
  if (name === undefined) return new CairnError('Internal', `unknown error code ${code}: ${words}`)
  return new CairnError(name, words, { details: { ...details } })
}
