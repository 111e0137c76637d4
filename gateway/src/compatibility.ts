/** Switches where suites and AWS disagree. All off is AWS's behaviour. */
export interface Compatibility {
  /** Refuse a PUT with `Transfer-Encoding: chunked` that is not aws-chunked (501). */
  readonly strictChunkedPut: boolean
  /** Evaluate `If-None-Match: <etag>`, and both conditions together, on PUT instead of 501. */
  readonly writeConditions: boolean
  /** Conditional deletes as Ceph does them: missing keys are fine, version id, size and time are evaluated. */
  readonly deleteConditions: boolean
  /** A part number beyond the count is 400 `InvalidPart`. */
  readonly invalidPartNumber: boolean
  /** A suspended PUT shows no version id. */
  readonly hideNullVersion: boolean
  /** Non-ASCII user metadata is answered as raw latin1 bytes. */
  readonly rawMetadata: boolean
  /** Anonymous ListBuckets answers an empty list. */
  readonly anonymousListBuckets: boolean
  /** DeleteObjects without any digest is refused. */
  readonly strictDeleteDigest: boolean
  /** The checksum of the empty body in a presigned query is verified like any other. */
  readonly strictPresignedChecksum: boolean
  /** GetObjectAttributes lists the parts of every multipart object, also of one without checksums of its parts. */
  readonly attributesParts: boolean
  /** GetObjectAttributes shows composite checksums with the number of parts behind them. */
  readonly attributesSuffix: boolean
  /** ACLs, and the owners in listings of objects, show the owner's name beside the id. */
  readonly displayNames: boolean
  /** A checksum that is none of its algorithm is `BadDigest`, as one of other bytes is. */
  readonly malformedChecksum: boolean
  /** Requests and forms signed with Signature Version 2 are taken. */
  readonly signatureVersion2: boolean
}

/** AWS's behaviour everywhere. */
export const AWS_COMPATIBILITY: Compatibility = {
  strictChunkedPut: false,
  writeConditions: false,
  deleteConditions: false,
  invalidPartNumber: false,
  hideNullVersion: false,
  rawMetadata: false,
  anonymousListBuckets: false,
  strictDeleteDigest: false,
  strictPresignedChecksum: false,
  attributesParts: false,
  attributesSuffix: false,
  displayNames: false,
  malformedChecksum: false,
  signatureVersion2: false,
}

/** The other side of every switch but the strict ones, as public conformance suites expect it. */
export const SUITES_COMPATIBILITY: Compatibility = {
  strictChunkedPut: false,
  writeConditions: true,
  deleteConditions: true,
  invalidPartNumber: true,
  hideNullVersion: true,
  rawMetadata: true,
  anonymousListBuckets: true,
  strictDeleteDigest: false,
  strictPresignedChecksum: false,
  attributesParts: true,
  attributesSuffix: true,
  displayNames: true,
  malformedChecksum: true,
  signatureVersion2: true,
}
