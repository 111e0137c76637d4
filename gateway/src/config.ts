/** Settings of the gateway, as values: the environment is read by the command alone. */

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
}

export interface GatewayConfig {
  readonly region: string
  /** Base domain of virtual-host style, without a leading dot; path style only if absent. */
  readonly domain?: string
  /** `host` or `host:port` under which signatures are also tried, for gateways behind a rewriting proxy. */
  readonly publicEndpoints: readonly string[]
  /** Peer addresses whose `X-Forwarded-Host` counts. */
  readonly trustedProxies: readonly string[]
  /** Where an anonymous visit of the root is sent; it is refused without one. */
  readonly landingPage?: string
  readonly compatibility: Compatibility
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
}

/** The other side of every switch, as public conformance suites expect it. */
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
}

/** Defaults of the contract: `us-east-1`, path style, AWS's behaviour. */
export const DEFAULT_GATEWAY_CONFIG: GatewayConfig = {
  region: 'us-east-1',
  publicEndpoints: [],
  trustedProxies: [],
  compatibility: AWS_COMPATIBILITY,
}
