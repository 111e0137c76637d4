/** Which operation a request means. Pure: the table decides, and what it does not know is refused. */
import { S3Error } from '../errors.js'
import { OPERATION_FORMS, type OperationForm, type OperationName } from '../operations/table.js'
import type { RequestHeaders } from '../operations/types.js'
import { PLAIN_PARAMETERS } from './plain-parameters.js'
import type { Query } from './query.js'

export interface OperationFacts {
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly query: Query
  readonly headers: RequestHeaders
}

type Level = OperationForm['on']

/** Parameters that refine an operation but never choose one. */
const REFINING_PARAMETERS: ReadonlySet<string> = new Set([
  ...PLAIN_PARAMETERS,
  'annotationName',
  'id',
  'max-directory-buckets',
  'partNumber',
  'select-type',
  'versionId',
])

/**
 * Families of such parameters: overrides of response headers, what a presigned URL carries, what callers send for the
 * access log alone, which S3 ignores, and headers that the AWS SDK for JavaScript 2 puts into what it presigns.
 */
const REFINING_FAMILY = /^(?:response-|x-|content-type$|content-md5$|cache-control$)/i

/** Operations on an object by PUT and POST that can be about one of its versions. All others make one, or a part. */
const OF_VERSIONS: ReadonlySet<OperationName> = new Set([
  'PutObjectAcl',
  'PutObjectLegalHold',
  'PutObjectRetention',
  'PutObjectTagging',
  'RestoreObject',
  'UpdateObjectEncryption',
  // Not in the model yet.
  'PutObjectAnnotation',
])

interface NamedForm extends OperationForm {
  readonly name: OperationName
}

/** Forms by level and sub-resource, empty for none; those that demand more come first. */
const FORMS: Readonly<Record<Level, ReadonlyMap<string, readonly NamedForm[]>>> = indexForms()

/**
 * Throws `NotImplemented` for a sub-resource nobody knows, `MethodNotAllowed` for a known one with a method it
 * does not have, `InvalidArgument` for several at once.
 */
export function resolveOperation(facts: OperationFacts): OperationName {
  const { method, bucket, key } = facts
  if (method === 'OPTIONS') return 'PreflightRequest'
  const level: Level = bucket === '' ? 'service' : key === '' ? 'bucket' : 'object'
  if (method === 'POST' && level === 'bucket' && bucket === 'WriteGetObjectResponse') return bucket
  const sub = findSubResource(facts, level)
  const forms = FORMS[level].get(sub ?? '') ?? []
  for (const form of forms) {
    if (!matches(form, facts)) continue
    checkParameters(form.name, facts)
    return form.name
  }
  throw methodNotAllowed(forms, facts)
}

function findSubResource(facts: OperationFacts, level: Level): string | undefined {
  let found: string | undefined
  for (const { name, value } of facts.query.parameters) {
    if (FORMS[level].has(name)) {
      if (found !== undefined && found !== name) throw conflict(found, name)
      found = name
    } else if (!isRefining(name)) {
      refuseUnknown(name, value, facts.method)
    }
  }
  return found
}

/** S3 ignores parameters it does not know; on a read we do too, unless one looks like a sub-resource. */
function refuseUnknown(name: string, value: string, method: string): void {
  const harmless = value !== '' && (method === 'GET' || method === 'HEAD')
  if (harmless) return
  throw new S3Error('NotImplemented', `The sub-resource or parameter ${name} is not implemented.`, {
    elements: { ResourceType: name },
  })
}

function isRefining(name: string): boolean {
  return REFINING_PARAMETERS.has(name) || REFINING_FAMILY.test(name)
}

function matches(form: NamedForm, facts: OperationFacts): boolean {
  if (form.method !== facts.method) return false
  if (form.with !== undefined && !facts.query.has(form.with)) return false
  return form.header === undefined || facts.headers[form.header] !== undefined
}

/** What the table cannot say: parameters that must come together, and forms chosen by a value. */
function checkParameters(name: OperationName, facts: OperationFacts): void {
  const { query, headers } = facts
  refuseCopySource(name, facts)
  refuseVersion(name, facts)
  if (name === 'ListObjectsV2' && query.find('list-type') !== '2') {
    throw new S3Error('InvalidArgument', 'Invalid List Type specified in ListBucket.')
  }
  if ((name === 'PutObject' || name === 'CopyObject') && query.has('partNumber')) {
    throw new S3Error('InvalidArgument', 'This operation does not accept partNumber without uploadId.')
  }
  if (name === 'PostObject' && !/^multipart\/form-data\b/i.test(headers['content-type'] ?? '')) {
    throw new S3Error('PreconditionFailed', 'Bucket POST must be of the enclosure-type multipart/form-data.')
  }
}

/** Of a form only the fields count. */
function refuseCopySource(name: OperationName, { method, headers }: OperationFacts): void {
  const source = headers['x-amz-copy-source']
  if (source === undefined || method === 'PUT' || name === 'PostObject') return
  throw new S3Error('InvalidArgument', 'You can only specify a copy source header for copy requests.', {
    elements: { ArgumentName: 'x-amz-copy-source', ArgumentValue: source },
  })
}

/** Who names a version means it: an operation that cannot be about one must not do something else. */
function refuseVersion(name: OperationName, { method, key, query }: OperationFacts): void {
  const versionId =
    key === '' || (method !== 'PUT' && method !== 'POST') ? undefined : query.find('versionId')
  if (versionId === undefined || OF_VERSIONS.has(name)) return
  throw new S3Error('InvalidArgument', 'This operation does not accept a version-id.', {
    elements: { ArgumentName: 'versionId', ArgumentValue: versionId },
  })
}

function conflict(first: string, second: string): S3Error {
  return new S3Error('InvalidArgument', `Conflicting query string parameters: ${first}, ${second}`, {
    elements: { ArgumentName: 'ResourceType', ArgumentValue: first },
  })
}

function methodNotAllowed(forms: readonly NamedForm[], facts: OperationFacts): S3Error {
  const methods = new Set(forms.map((form) => form.method).filter((method) => method !== facts.method))
  const allowed = [...methods].join(', ')
  return new S3Error('MethodNotAllowed', undefined, {
    elements: { Method: facts.method },
    headers: { Allow: allowed },
  })
}

function indexForms(): Record<Level, Map<string, NamedForm[]>> {
  const index: Record<Level, Map<string, NamedForm[]>> = {
    service: new Map(),
    bucket: new Map(),
    object: new Map(),
  }
  for (const [name, form] of Object.entries(OPERATION_FORMS) as [OperationName, OperationForm][]) {
    if (form.aliasOf !== undefined) continue
    const place = form.sub ?? ''
    const forms = index[form.on].get(place)
    if (forms === undefined) index[form.on].set(place, [{ ...form, name }])
    else forms.push({ ...form, name })
  }
  for (const level of Object.values(index)) {
    for (const forms of level.values()) forms.sort((a, b) => demands(b) - demands(a))
  }
  return index
}

function demands(form: OperationForm): number {
  return Number(form.with !== undefined) + Number(form.header !== undefined)
}
