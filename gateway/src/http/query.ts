/**
 * The query of a request target: order and duplicates are kept, every name and value is decoded exactly once.
 * Form decoding is never applied twice, and `+` means a space, as S3 reads it.
 */
import { S3Error } from '../errors.js'

/** One parameter, decoded. */
export interface QueryParameter {
  readonly name: string
  /** Empty if there was no `=`. */
  readonly value: string
}

/** All parameters, in the order in which they were sent. */
export interface Query {
  readonly parameters: readonly QueryParameter[]
  has(name: string): boolean
  /** The first value of that name. */
  find(name: string): string | undefined
}

/** Query parameters of one request; more are refused. S3's own requests use fewer than 20. */
const PARAMETERS_MAX = 200

class ParsedQuery implements Query {
  readonly parameters: readonly QueryParameter[]

  constructor(parameters: readonly QueryParameter[]) {
    this.parameters = parameters
  }

  has(name: string): boolean {
    return this.find(name) !== undefined
  }

  find(name: string): string | undefined {
    for (const parameter of this.parameters) if (parameter.name === name) return parameter.value
    return undefined
  }
}

/** The query of a target without `?`. */
const EMPTY_QUERY: Query = new ParsedQuery([])

/** Parses what stands after the first `?`. Throws `InvalidURI` for broken escapes and bytes that are not UTF-8. */
export function parseQuery(raw: string): Query {
  if (raw === '') return EMPTY_QUERY
  const parameters: QueryParameter[] = []
  for (const pair of raw.split('&')) {
    if (pair === '') continue
    if (parameters.length === PARAMETERS_MAX) throw new S3Error('InvalidURI', 'Too many query parameters.')
    const equals = pair.indexOf('=')
    const name = decodeParameter(equals < 0 ? pair : pair.slice(0, equals))
    parameters.push({ name, value: equals < 0 ? '' : decodeParameter(pair.slice(equals + 1)) })
  }
  return new ParsedQuery(parameters)
}

function decodeParameter(raw: string): string {
  const text = raw.includes('+') ? raw.replaceAll('+', ' ') : raw
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new S3Error('InvalidURI', 'The query string could not be decoded.', { cause })
  }
}
