/** The elements by which S3's errors name what they are about. Told by the request and by the error's own details. */
import { CairnError } from '@cairn/protocol'
import type { S3Error, S3ErrorCode } from '../errors.js'
import type { OperationContext } from '../operations/types.js'

/** What is known of the request that failed. */
export interface FailedRequest {
  /** Empty for a request on no bucket. */
  readonly bucket: string
  /** Missing if the request was refused before its operation began. */
  readonly context: Pick<OperationContext, 'method' | 'key' | 'query' | 'headers'> | undefined
}

type Elements = Readonly<Record<string, string | undefined>>

interface Facts {
  readonly bucket: string
  readonly context: NonNullable<FailedRequest['context']>
  /** Of the error that a service has answered. */
  readonly details: Readonly<Record<string, string>>
}

/** By the codes that are about something; the elements in S3's order. */
const ELEMENTS_OF: Readonly<Partial<Record<S3ErrorCode, (facts: Facts) => Elements>>> = {
  NoSuchBucket: ofBucket,
  BucketAlreadyExists: ofBucket,
  BucketAlreadyOwnedByYou: ofBucket,
  BucketNotEmpty: ofBucket,
  InvalidBucketName: ofBucket,
  NoSuchBucketPolicy: ofBucket,
  NoSuchConfiguration: ofBucket,
  NoSuchCORSConfiguration: ofBucket,
  NoSuchLifecycleConfiguration: ofBucket,
  NoSuchPublicAccessBlockConfiguration: ofBucket,
  NoSuchTagSet: ofBucket,
  NoSuchWebsiteConfiguration: ofBucket,
  ObjectLockConfigurationNotFoundError: ofBucket,
  ReplicationConfigurationNotFoundError: ofBucket,
  ServerSideEncryptionConfigurationNotFoundError: ofBucket,
  NoSuchKey: ({ context }) => ({ Key: context.key }),
  NoSuchVersion: ({ context, details }) => ({
    Key: context.key,
    VersionId: details.versionId ?? context.query.find('versionId'),
  }),
  NoSuchUpload: ofUpload,
  InvalidPartOrder: ofUpload,
  InvalidPart: ({ context, details }) => ({
    UploadId: context.query.find('uploadId'),
    PartNumber: details.partNumber,
    ETag: details.etag,
  }),
  EntityTooSmall: ({ details }) => ({
    ProposedSize: details.sizeBytes,
    MinSizeAllowed: details.sizeBytesMin,
    PartNumber: details.partNumber,
    ETag: details.etag,
  }),
  PreconditionFailed: ({ context }) => ({ Condition: conditionOf(context.headers) }),
  ConditionalRequestConflict: ({ context }) => ({
    Condition: conditionOf(context.headers),
    Key: context.key,
  }),
  InvalidRange: ({ context }) => ({ RangeRequested: context.headers.range }),
  InvalidArgument: ({ details }) => ({
    ArgumentName: details.argumentName,
    ArgumentValue: details.argumentValue,
  }),
}

/** The conditions of a write, of which one has failed. */
const WRITE_CONDITIONS = {
  'if-match': 'If-Match',
  'if-none-match': 'If-None-Match',
  'x-amz-if-match-size': 'x-amz-if-match-size',
  'x-amz-if-match-last-modified-time': 'x-amz-if-match-last-modified-time',
  'x-amz-if-match-initiated-time': 'x-amz-if-match-initiated-time',
}

/** Those that the error was made with come last and win: they are about another bucket or key than the request's. */
export function errorElements(error: S3Error, { bucket, context }: FailedRequest): Elements {
  const { cause } = error
  const details = cause instanceof CairnError ? cause.details : {}
  if (context === undefined) return error.elements
  if (cause instanceof CairnError && cause.code === 'VersionIsDeleteMarker' && error.status === 405) {
    return { Method: context.method, ResourceType: 'DeleteMarker', ...error.elements }
  }
  return { ...ELEMENTS_OF[error.code]?.({ bucket, context, details }), ...error.elements }
}

function ofBucket({ bucket }: Facts): Elements {
  return { BucketName: bucket }
}

function ofUpload({ context }: Facts): Elements {
  return { UploadId: context.query.find('uploadId') }
}

function conditionOf(headers: OperationContext['headers']): string | undefined {
  const present = Object.entries(WRITE_CONDITIONS).flatMap(([header, name]) =>
    headers[header] === undefined ? [] : [name],
  )
  return present.length === 0 ? undefined : present.join(',')
}
