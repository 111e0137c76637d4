/** Forms that must be refused, as changes to one that would be taken: by what is wrong, with status and code. */
import type { FormFile, FormOptions } from './form.js'

/** What is changed about a form that would be taken, and how it is refused then. */
export interface Refused {
  readonly options?: Partial<FormOptions>
  /** Changes the fields after the signature. */
  readonly changes?: Readonly<Record<string, string | undefined>>
  readonly file?: FormFile
  readonly status: number
  readonly code: string
}

const conditions = (...list: readonly unknown[]): Partial<FormOptions> => ({ conditions: list })
const policy = (change: (document: Record<string, unknown>) => void): Partial<FormOptions> => ({ change })
const denied = { status: 403, code: 'AccessDenied' } as const
const invalidPolicy = { status: 400, code: 'InvalidPolicyDocument' } as const
const ten = { content: '0123456789' }

/** Conditions that do not hold. */
export const CONDITIONS: Record<string, Refused> = {
  'another key than the policy names': { changes: { key: 'other' }, ...denied },
  'another value of a field': {
    options: { fields: { acl: 'private' } },
    changes: { acl: 'bucket-owner-full-control' },
    ...denied,
  },
  'another letter case of a value': {
    options: { fields: { 'x-amz-meta-a': 'Value' } },
    changes: { 'x-amz-meta-a': 'value' },
    ...denied,
  },
  'a field that no condition covers': { changes: { 'x-amz-meta-extra': '1' }, ...denied },
  'a content type that no condition covers': { changes: { 'Content-Type': 'text/html' }, ...denied },
  'a redirect that no condition covers': {
    changes: { success_action_redirect: 'http://evil.example/' },
    ...denied,
  },
  'a condition whose field is missing': {
    options: { fields: { 'x-amz-meta-a': '1' } },
    changes: { 'x-amz-meta-a': undefined },
    ...denied,
  },
  'an open condition whose field is missing': {
    options: conditions(['starts-with', '$Content-Type', '']),
    ...denied,
  },
  'another prefix': {
    options: { uncovered: ['key'], conditions: [['starts-with', '$key', 'users/']] },
    ...denied,
  },
  'an eq condition that fails': { options: conditions(['eq', '$key', 'other']), ...denied },
  'one content type of a list that is not allowed': {
    options: {
      fields: { 'Content-Type': 'image/png, text/html' },
      uncovered: ['Content-Type'],
      conditions: [['starts-with', '$Content-Type', 'image/']],
    },
    ...denied,
  },
  'a policy for another bucket': { options: policy((d) => replaceBucket(d, 'another-bucket')), ...denied },
  'a policy without a bucket': { options: policy((d) => replaceBucket(d, undefined)), ...denied },
  'a field that claims another bucket': {
    options: policy((d) => replaceBucket(d, 'another-bucket')),
    changes: { bucket: 'another-bucket' },
    ...denied,
  },
  'an expired policy': { options: { expiration: '2020-01-01T00:00:00Z' }, ...denied },
  'a file below the range': {
    options: conditions(['content-length-range', 11, 20]),
    file: ten,
    status: 400,
    code: 'EntityTooSmall',
  },
  'a file above the range': {
    options: conditions(['content-length-range', 0, 9]),
    file: ten,
    status: 400,
    code: 'EntityTooLarge',
  },
  'a file outside one of two ranges': {
    options: conditions(['content-length-range', 0, 100], ['content-length-range', 0, 9]),
    file: ten,
    status: 400,
    code: 'EntityTooLarge',
  },
  'a file above a range of nothing': {
    options: conditions(['content-length-range', 0, 0]),
    file: ten,
    status: 400,
    code: 'EntityTooLarge',
  },
}

/** Policies that are none. */
export const DOCUMENTS: Record<string, Refused> = {
  'no JSON': { options: { document: '{"expiration"' }, ...invalidPolicy },
  'a list': { options: { document: '[]' }, ...invalidPolicy },
  'no expiration': { options: policy((d) => void delete d.expiration), ...invalidPolicy },
  'no conditions': { options: policy((d) => void delete d.conditions), ...invalidPolicy },
  'conditions that are no list': {
    options: policy((d) => void Object.assign(d, { conditions: {} })),
    ...invalidPolicy,
  },
  'members in another letter case': {
    options: policy((d) => {
      d.Expiration = d.expiration
      delete d.expiration
    }),
    ...invalidPolicy,
  },
  'an expiration of another form': { options: { expiration: '2099-01-01 00:00:00' }, ...invalidPolicy },
  'an expiration that is a number': { options: { expiration: 4_070_908_800 }, ...invalidPolicy },
  'an expiration on no day': { options: { expiration: '2099-13-41T00:00:00Z' }, ...invalidPolicy },
  'an empty condition': { options: conditions({}), ...invalidPolicy },
  'an empty list condition': { options: conditions([]), ...invalidPolicy },
  'a condition on two fields': { options: conditions({ acl: 'private', key: 'k' }), ...invalidPolicy },
  'a condition that is a text': { options: conditions('key'), ...invalidPolicy },
  'a value that is no text': { options: conditions({ key: 1 }), ...invalidPolicy },
  'an unknown operator': { options: conditions(['ends-with', '$key', 'y']), ...invalidPolicy },
  'an operator without its dollar': { options: conditions(['eq', 'key', 'key']), ...invalidPolicy },
  'an operator with too many arguments': {
    options: conditions(['eq', '$key', 'key', 'x']),
    ...invalidPolicy,
  },
  'a range of one number': { options: conditions(['content-length-range', 5]), ...invalidPolicy },
  'a negative range': { options: conditions(['content-length-range', -1, 10]), ...invalidPolicy },
  'a broken range': { options: conditions(['content-length-range', 0.5, 'many']), ...invalidPolicy },
}

/** Signatures and their fields. */
export const SIGNATURES: Record<string, Refused> = {
  'a wrong signature': {
    changes: { 'x-amz-signature': '0'.repeat(64) },
    status: 403,
    code: 'SignatureDoesNotMatch',
  },
  'a signature that is none': {
    changes: { 'x-amz-signature': 'x' },
    status: 403,
    code: 'SignatureDoesNotMatch',
  },
  'a policy that was changed': {
    changes: { policy: Buffer.from('{}').toString('base64') },
    status: 403,
    code: 'SignatureDoesNotMatch',
  },
  'no signature': { changes: { 'x-amz-signature': undefined }, status: 400, code: 'InvalidArgument' },
  'no policy': { changes: { policy: undefined }, status: 400, code: 'InvalidArgument' },
  'no credential': { changes: { 'x-amz-credential': undefined }, status: 400, code: 'InvalidArgument' },
  'no date': { changes: { 'x-amz-date': undefined }, status: 400, code: 'InvalidArgument' },
  'no key': { changes: { key: undefined }, status: 400, code: 'InvalidArgument' },
  'a broken date': {
    changes: { 'x-amz-date': '20990231T000000Z' },
    status: 400,
    code: 'AuthorizationQueryParametersError',
  },
  'a broken credential': {
    changes: { 'x-amz-credential': 'a/b' },
    status: 400,
    code: 'AuthorizationQueryParametersError',
  },
  'another algorithm': {
    changes: { 'x-amz-algorithm': 'AWS4-ECDSA-P256-SHA256' },
    status: 400,
    code: 'AuthorizationQueryParametersError',
  },
  'another region': {
    options: { region: 'eu-central-1' },
    status: 400,
    code: 'AuthorizationQueryParametersError',
  },
  'a date in the future': { options: { atMs: Date.now() + 3_600_000 }, ...denied },
  'a date more than a week ago': { options: { atMs: Date.now() - 8 * 86_400_000 }, ...denied },
  'a session token nobody gave': {
    options: { fields: { 'x-amz-security-token': 'token' } },
    status: 400,
    code: 'InvalidToken',
  },
  'a form of SigV2': {
    changes: { AWSAccessKeyId: 'AKIA', signature: 'c2ln', 'x-amz-signature': undefined },
    status: 400,
    code: 'InvalidRequest',
  },
}

/** Fields that cannot be stored. */
export const FIELDS: Record<string, Refused> = {
  'a line end in metadata': {
    options: { fields: { 'x-amz-meta-a': 'x\r\nSet-Cookie: y' } },
    status: 400,
    code: 'InvalidArgument',
  },
  'a line end in the name of metadata': {
    options: { fields: { 'x-amz-meta-a b': 'x' } },
    status: 400,
    code: 'InvalidArgument',
  },
  'a line end in the redirect': {
    options: { fields: { success_action_redirect: 'http://a.example/\r\nX: y' } },
    status: 400,
    code: 'InvalidArgument',
  },
  'an empty key': { options: { key: '' }, status: 400, code: 'InvalidArgument' },
  'a key of 1,025 bytes': { options: { key: 'k'.repeat(1025) }, status: 400, code: 'KeyTooLongError' },
  'a NUL in the key': { options: { key: 'a\u0000b' }, status: 400, code: 'InvalidArgument' },
  'an ACL': {
    options: { fields: { acl: 'public-read' } },
    status: 400,
    code: 'AccessControlListNotSupported',
  },
  'an unknown storage class': {
    options: { fields: { 'x-amz-storage-class': 'FakeClass' } },
    status: 400,
    code: 'InvalidStorageClass',
  },
  'server-side encryption': {
    options: { fields: { 'x-amz-server-side-encryption': 'AES256' } },
    status: 501,
    code: 'NotImplemented',
  },
  'a copy source': {
    options: { fields: { 'x-amz-copy-source': '/b/k' } },
    status: 501,
    code: 'NotImplemented',
  },
  'two checksums': {
    options: { fields: { 'x-amz-checksum-crc32': 'AAAAAA==', 'x-amz-checksum-sha1': '' } },
    status: 400,
    code: 'InvalidRequest',
  },
  'broken tags': { options: { fields: { tagging: '<Tagging>' } }, status: 400, code: 'MalformedXML' },
  'too much metadata': {
    options: { fields: { 'x-amz-meta-a': 'x'.repeat(2100) } },
    status: 400,
    code: 'MetadataTooLarge',
  },
  'more than 20 KiB of fields': {
    options: { fields: { 'x-ignore-a': 'x'.repeat(21_000) } },
    status: 400,
    code: 'MaxPostPreDataLengthExceededError',
  },
}

function replaceBucket(document: Record<string, unknown>, bucket: string | undefined): void {
  const list = document.conditions as Record<string, unknown>[]
  document.conditions = [
    ...list.filter((entry) => !('bucket' in entry)),
    ...(bucket === undefined ? [] : [{ bucket }]),
  ]
}
