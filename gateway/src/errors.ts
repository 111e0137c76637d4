/**
 * What the S3 interface answers when something goes wrong: one code, one status, one default message each, and
 * the total map from the errors of Cairn's services. Codes are S3's; nothing else may reach a client.
 */
import { CairnError, type ErrorCode } from '@cairn/protocol'

/** Status and default message of every S3 error that the gateway raises. */
export const S3_ERRORS = {
  AccessControlListNotSupported: [400, 'The bucket does not allow ACLs.'],
  AccessDenied: [403, 'Access Denied'],
  AccessForbidden: [403, 'CORSResponse: This CORS request is not allowed.'],
  AuthorizationHeaderMalformed: [400, 'The authorization header is malformed.'],
  AuthorizationQueryParametersError: [400, 'The authorization query parameters are malformed.'],
  BadDigest: [
    400,
    'The Content-MD5 or checksum value that you specified did not match what the server received.',
  ],
  BadRequest: [400, 'Bad Request'],
  BucketAlreadyExists: [409, 'The requested bucket name is not available.'],
  BucketAlreadyOwnedByYou: [
    409,
    'Your previous request to create the named bucket succeeded and you already own it.',
  ],
  BucketNotEmpty: [409, 'The bucket you tried to delete is not empty'],
  ConditionalRequestConflict: [
    409,
    'The conditional request cannot succeed due to a conflicting operation against this resource.',
  ],
  EntityTooLarge: [400, 'Your proposed upload exceeds the maximum allowed object size.'],
  EntityTooSmall: [400, 'Your proposed upload is smaller than the minimum allowed size'],
  ExpiredToken: [400, 'The provided token has expired.'],
  IllegalLocationConstraintException: [400, 'The location constraint is incompatible with this endpoint.'],
  IllegalVersioningConfigurationException: [400, 'The Versioning element must be specified'],
  IncompleteBody: [400, 'You did not provide the number of bytes specified by the length header.'],
  InsufficientStorage: [507, 'There is not enough free space for this write.'],
  InternalError: [500, 'We encountered an internal error. Please try again.'],
  InvalidAccessKeyId: [403, 'The access key ID that you provided does not exist in our records.'],
  InvalidArgument: [400, 'Invalid Argument'],
  InvalidBucketAclWithObjectOwnership: [
    400,
    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
  ],
  InvalidBucketName: [400, 'The specified bucket is not valid.'],
  InvalidDigest: [400, 'The Content-MD5 you specified was invalid.'],
  InvalidLocationConstraint: [400, 'The specified location-constraint is not valid'],
  InvalidPart: [
    400,
    "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  ],
  InvalidPartNumber: [416, 'The requested partnumber is not satisfiable'],
  InvalidPartOrder: [
    400,
    'The list of parts was not in ascending order. Parts must be ordered by part number.',
  ],
  InvalidPolicyDocument: [400, 'The content of the form does not meet the conditions of its policy.'],
  InvalidRange: [416, 'The requested range is not satisfiable'],
  InvalidRedirectLocation: [
    400,
    "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
  ],
  InvalidRequest: [400, 'Invalid Request'],
  InvalidStorageClass: [400, 'The storage class you specified is not valid'],
  InvalidToken: [400, 'The provided token is malformed or otherwise not valid.'],
  InvalidTag: [400, 'The tag that you provided is not valid.'],
  InvalidURI: [400, 'The specified URI could not be parsed.'],
  KeyTooLongError: [400, 'Your key is too long.'],
  MalformedPOSTRequest: [400, 'The body of your POST request is not well-formed multipart/form-data.'],
  MalformedTrailerError: [400, 'The request contained trailing data that was not well formed.'],
  MalformedXML: [
    400,
    'The XML you provided was not well-formed or did not validate against our published schema',
  ],
  MaxMessageLengthExceeded: [400, 'Your request was too large.'],
  MaxPostPreDataLengthExceededError: [
    400,
    'Your POST request fields preceding the upload file were too large.',
  ],
  MetadataTooLarge: [400, 'Your metadata headers exceed the maximum allowed metadata size.'],
  MethodNotAllowed: [405, 'The specified method is not allowed against this resource.'],
  MissingContentLength: [411, 'You must provide the Content-Length HTTP header.'],
  MissingRequestBodyError: [400, 'Request body is empty.'],
  MissingSecurityHeader: [400, 'Your request was missing a required header'],
  NoSuchBucketPolicy: [404, 'The bucket policy does not exist'],
  NoSuchConfiguration: [404, 'The specified configuration does not exist.'],
  NoSuchLifecycleConfiguration: [404, 'The lifecycle configuration does not exist'],
  NoSuchPublicAccessBlockConfiguration: [404, 'The public access block configuration was not found'],
  NoSuchTagSet: [404, 'The TagSet does not exist'],
  NoSuchWebsiteConfiguration: [404, 'The specified bucket does not have a website configuration'],
  NoSuchBucket: [404, 'The specified bucket does not exist'],
  NoSuchCORSConfiguration: [404, 'The CORS configuration does not exist'],
  NoSuchKey: [404, 'The specified key does not exist.'],
  NoSuchUpload: [
    404,
    'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
  ],
  NoSuchVersion: [404, 'The specified version does not exist.'],
  NotImplemented: [
    501,
    'A header or request that you provided implies functionality that is not implemented.',
  ],
  ObjectLockConfigurationNotFoundError: [404, 'Object Lock configuration does not exist for this bucket'],
  PermanentRedirect: [301, 'The bucket that you are attempting to access must be addressed elsewhere.'],
  PreconditionFailed: [412, 'At least one of the pre-conditions you specified did not hold'],
  ReplicationConfigurationNotFoundError: [404, 'The replication configuration was not found'],
  RequestHeaderSectionTooLarge: [400, 'Your request header and query parameters exceed the maximum size.'],
  RequestTimeTooSkewed: [403, 'The difference between the request time and the server time is too large.'],
  RequestTimeout: [400, 'Your socket connection to the server was not read from or written to in time.'],
  ServerSideEncryptionConfigurationNotFoundError: [
    404,
    'The server side encryption configuration was not found',
  ],
  ServiceUnavailable: [503, 'Service is unable to handle the request. Please try again.'],
  SignatureDoesNotMatch: [
    403,
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
  ],
  SlowDown: [503, 'Please reduce your request rate.'],
  UnexpectedContent: [400, 'This request does not support content'],
  XAmzContentSHA256Mismatch: [
    400,
    'The provided x-amz-content-sha256 header does not match what was computed.',
  ],
} as const

/** Codes a client may see. */
export type S3ErrorCode = keyof typeof S3_ERRORS

export interface S3ErrorOptions extends ErrorOptions {
  /** Extra elements of the XML body, in order, for example `BucketName`. */
  readonly elements?: Readonly<Record<string, string>>
  /** Extra response headers. */
  readonly headers?: Readonly<Record<string, string>>
  /** Another status than the code's own. */
  readonly status?: number
}

/** An answer that is not a success. Thrown anywhere in the gateway, written once by the dispatcher. */
export class S3Error extends Error {
  override readonly name = 'S3Error'
  readonly code: S3ErrorCode
  readonly status: number
  readonly elements: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>

  constructor(code: S3ErrorCode, message?: string, options: S3ErrorOptions = {}) {
    super(message ?? S3_ERRORS[code][1], options)
    this.code = code
    this.status = options.status ?? S3_ERRORS[code][0]
    this.elements = options.elements ?? {}
    this.headers = options.headers ?? {}
  }
}

/** The S3 code for every code of Cairn's services. Total by its type, so that a new code cannot be forgotten. */
export const S3_CODE_OF: Readonly<Record<ErrorCode, S3ErrorCode>> = {
  ConnectionLost: 'ServiceUnavailable',
  DeadlineExceeded: 'ServiceUnavailable',
  Cancelled: 'ServiceUnavailable',
  PeerRejected: 'InternalError',
  MessageTooLarge: 'InternalError',
  MessageCorrupt: 'InternalError',
  NoSuchMethod: 'InternalError',
  Internal: 'InternalError',
  Busy: 'SlowDown',
  ShuttingDown: 'ServiceUnavailable',
  NotAllowed: 'InternalError',
  NoSuchBucket: 'NoSuchBucket',
  BucketAlreadyExists: 'BucketAlreadyExists',
  BucketNotEmpty: 'BucketNotEmpty',
  NoSuchKey: 'NoSuchKey',
  NoSuchVersion: 'NoSuchVersion',
  VersionIsDeleteMarker: 'MethodNotAllowed',
  NoSuchUpload: 'NoSuchUpload',
  InvalidPart: 'InvalidPart',
  InvalidPartOrder: 'InvalidPartOrder',
  PartTooSmall: 'EntityTooSmall',
  PreconditionFailed: 'PreconditionFailed',
  ConditionalConflict: 'ConditionalRequestConflict',
  SessionExpired: 'ServiceUnavailable',
  StaleClusterMap: 'ServiceUnavailable',
  SessionMoved: 'ServiceUnavailable',
  OutcomeUnknown: 'InternalError',
  ReceiptMissing: 'InternalError',
  InvalidArgument: 'InvalidArgument',
  NoSuchBlock: 'InternalError',
  BlockCorrupt: 'InternalError',
  BlockConflict: 'InternalError',
  DriveFull: 'InsufficientStorage',
  DriveFailed: 'InternalError',
  NoSuchDrive: 'InternalError',
  InsufficientReplicas: 'ServiceUnavailable',
  BlockUnavailable: 'ServiceUnavailable',
  LengthMismatch: 'IncompleteBody',
  DigestMismatch: 'BadDigest',
  FormatTooNew: 'InternalError',
  DataFolderInUse: 'InternalError',
}

/**
 * Turns anything thrown into an answer; what is neither an S3 nor a Cairn error becomes `InternalError`. `elements`
 * name what a Cairn error is about where that is not what the request names.
 */
export function toS3Error(error: unknown, elements: S3Error['elements'] = {}): S3Error {
  if (error instanceof S3Error) return error
  if (!(error instanceof CairnError)) return new S3Error('InternalError', undefined, { cause: error })
  const code = S3_CODE_OF[error.code]
  const message = code === 'InvalidArgument' ? error.message : undefined
  return new S3Error(code, message, { cause: error, elements, headers: markerHeaders(error) })
}

/** What S3 says in headers when a delete marker is why nothing was found. */
function markerHeaders(error: CairnError): Record<string, string> {
  const headers: Record<string, string> = {}
  if (error.code !== 'NoSuchKey' && error.code !== 'VersionIsDeleteMarker') return headers
  if (error.code === 'VersionIsDeleteMarker') headers.Allow = 'DELETE'
  if (error.code === 'VersionIsDeleteMarker' || error.details.deleteMarker === 'true') {
    headers['x-amz-delete-marker'] = 'true'
  }
  if (error.details.versionId !== undefined) headers['x-amz-version-id'] = error.details.versionId
  const { modifiedMs } = error.details
  if (modifiedMs !== undefined) headers['Last-Modified'] = new Date(Number(modifiedMs)).toUTCString()
  return headers
}
