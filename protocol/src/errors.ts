/** What may go wrong in operation, for all services and on the wire. A broken invariant is an assertion instead. */
export const ERROR_CODES = {
  // Transport and handshake.
  ConnectionLost: 1,
  DeadlineExceeded: 2,
  Cancelled: 3,
  PeerRejected: 4,
  MessageTooLarge: 5,
  MessageCorrupt: 6,
  NoSuchMethod: 7,
  Internal: 8,
  Busy: 9,
  ShuttingDown: 10,
  /** The peer's role may not call this, or the call lacks a valid token. */
  NotAllowed: 11,
  // Namespace.
  NoSuchBucket: 20,
  BucketAlreadyExists: 21,
  BucketNotEmpty: 22,
  NoSuchKey: 23,
  NoSuchVersion: 24,
  VersionIsDeleteMarker: 25,
  NoSuchUpload: 26,
  InvalidPart: 27,
  InvalidPartOrder: 28,
  PartTooSmall: 29,
  PreconditionFailed: 30,
  ConditionalConflict: 31,
  SessionExpired: 32,
  StaleClusterMap: 33,
  OutcomeUnknown: 34,
  InvalidArgument: 35,
  /** The session is bound to another service, or by another route: this attempt has done nothing. */
  SessionMoved: 36,
  /** Too few good receipts show that the blocks are stored: nothing was done. */
  ReceiptMissing: 37,
  // Blocks.
  NoSuchBlock: 50,
  BlockCorrupt: 51,
  BlockConflict: 52,
  DriveFull: 53,
  DriveFailed: 54,
  NoSuchDrive: 55,
  // Data path.
  InsufficientReplicas: 70,
  BlockUnavailable: 71,
  LengthMismatch: 72,
  DigestMismatch: 73,
  // Configuration and data folder.
  FormatTooNew: 90,
  DataFolderInUse: 91,
} as const

/** What a caller can act on; API, also over the wire. */
export type ErrorCode = keyof typeof ERROR_CODES

/**
 * The one error of Cairn's services. `code` is API and crosses the wire; `message` is for people.
 * `details` holds small facts that a caller may act on (for example `currentEtag`).
 */
export class CairnError extends Error {
  override readonly name = 'CairnError'
  readonly code: ErrorCode
  readonly details: Readonly<Record<string, string>>

  constructor(
    code: ErrorCode,
    message: string,
    options?: ErrorOptions & { details?: Record<string, string> },
  ) {
    super(message, options)
    this.code = code
    this.details = options?.details ?? {}
  }
}

/** Narrows an unknown error to a `CairnError` with one of the given codes. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is CairnError {
  return error instanceof CairnError && codes.includes(error.code)
}

/** Wraps anything thrown as a `CairnError`; what is not one already becomes `Internal` and keeps its cause. */
export function toCairnError(error: unknown): CairnError {
  if (error instanceof CairnError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new CairnError('Internal', message, { cause: error })
}
