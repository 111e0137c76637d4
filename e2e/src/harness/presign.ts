/** Presigned URLs by the AWS SDK's signer. */
import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { Server } from './server.js'

class Sha256 {
  private readonly hash: ReturnType<typeof createHash>

  constructor(secret?: Uint8Array | string) {
    this.hash = secret === undefined ? createHash('sha256') : (createHmac('sha256', secret) as never)
  }

  update(data: Uint8Array): void {
    this.hash.update(data)
  }

  async digest(): Promise<Uint8Array> {
    return this.hash.digest()
  }
}

/** A URL for one request within an hour. `objectPath` is `bucket/key`, not encoded. */
export async function presign(server: Server, method: 'GET' | 'PUT', objectPath: string): Promise<string> {
  const url = new URL(server.endpoint)
  const signer = new SignatureV4({
    service: 's3',
    region: 'us-east-1',
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
    sha256: Sha256 as never,
    uriEscapePath: false,
  })
  const path = `/${objectPath.split('/').map(encodeURIComponent).join('/')}`
  const signed = await signer.presign(
    {
      method,
      protocol: url.protocol,
      hostname: url.hostname,
      port: Number(url.port),
      path,
      headers: { host: url.host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
      query: {},
    },
    {
      expiresIn: 3600,
      unhoistableHeaders: new Set(['x-amz-content-sha256']),
      unsignableHeaders: new Set(['x-amz-content-sha256']),
    },
  )
  const query = new URLSearchParams(signed.query as Record<string, string>).toString().replaceAll('+', '%20')
  return `${server.endpoint}${path}?${query}`
}
