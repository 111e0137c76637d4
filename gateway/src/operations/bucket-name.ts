import { isIPv4 } from 'node:net'
import { S3Error } from '../errors.js'

const NAME = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
/** Empty labels, and labels that begin or end with a hyphen: no host name could be made of them. */
const BROKEN_LABEL = /\.\.|\.-|-\./

/** Throws `InvalidBucketName` unless S3 would make a bucket of that name. */
export function checkBucketName(name: string): void {
  if (NAME.test(name) && !BROKEN_LABEL.test(name) && !isIPv4(name)) return
  throw new S3Error('InvalidBucketName', undefined, { elements: { BucketName: name } })
}
