/** The AWS SDK for JavaScript against one of our servers: an independent signer and parser. */
import { S3Client } from '@aws-sdk/client-s3'
import type { Server } from './server.js'

export interface S3Options {
  /** How often the SDK sends a request at most; 1 shows every failure as it is. */
  readonly maxAttempts?: number
}

/** A client in path style. Close it with `destroy()`. */
export function connectS3(
  server: Pick<Server, 'endpoint' | 'accessKey' | 'secretKey'>,
  options: S3Options = {},
): S3Client {
  return new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    maxAttempts: options.maxAttempts ?? 1,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
  })
}
