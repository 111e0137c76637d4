import { isIPv4 } from 'node:net'
import { S3Error } from '../errors.js'

const NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
/** Empty labels, and labels that begin or end with a hyphen: no host name could be made of them. */
const BROKEN_LABEL = /\.\.|\.-|-\./

/** Kept for names that are no buckets: SDKs speak another protocol to some of them. */
const RESERVED = /^(?:xn--|sthree-)|(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/

/** Whether S3 would make a bucket of that name. */
export function isBucketName(name: string): boolean {
  return NAME.test(name) && !BROKEN_LABEL.test(name) && !isIPv4(name) && !RESERVED.test(name)
}

/** The name by which policies and tools know a bucket. */
export function bucketArn(bucket: string): string {
  return `arn:aws:s3:::${bucket}`
}

/** Throws `InvalidBucketName` unless S3 would make a bucket of that name. */
export function checkBucketName(name: string): void {
  if (isBucketName(name)) return
  throw new S3Error('InvalidBucketName')
}
