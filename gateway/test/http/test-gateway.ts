/** A gateway on a free port with a few small operations of its own and a clock that stands still. */
import { createHash, createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import type { CairnClient, Digests } from '@cairn/client'
import { CairnError, type Clock, createDigest, systemClock } from '@cairn/protocol'
import { createSeededRandom } from '@cairn/protocol/simulation'
import { createGateway, type Gateway } from '../../src/app.js'
import { DEFAULT_GATEWAY_CONFIG, type GatewayConfig } from '../../src/config.js'
import type { GatewayLimits } from '../../src/limits.js'
import type { OperationName } from '../../src/operations/table.js'
import type { Operation, OperationContext, S3Response } from '../../src/operations/types.js'
import type { RequestFacts } from '../../src/ports.js'
import { EXAMPLE } from '../authentication/raw-request.js'

interface Aws4 {
  sign(request: object, credentials: object): { path: string; headers: Record<string, string> }
}
const aws4 = createRequire(import.meta.url)('aws4') as Aws4

export const NOW_MS: number = Date.UTC(2026, 1, 3, 4, 5, 6)
export const DATE = '20260203T040506Z'
export const HOST = 'localhost:9000'

export interface TestGateway {
  readonly gateway: Gateway
  readonly port: number
  /** Bodies by key. */
  readonly objects: Map<string, Buffer>
  readonly observed: RequestFacts[]
  readonly logged: string[]
  /** Resolves with the next request that finishes. */
  nextObserved(): Promise<RequestFacts>
}

export interface TestGatewayOptions {
  readonly config?: Partial<GatewayConfig>
  readonly operations?: readonly Operation[]
  readonly limits?: Partial<GatewayLimits>
  /** Stands still in 2026 unless given. */
  readonly clock?: Clock
}

export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const objects = new Map<string, Buffer>()
  const observed: RequestFacts[] = []
  const logged: string[] = []
  let wake: (facts: RequestFacts) => void = () => undefined
  const clock: Clock = options.clock ?? { ...systemClock, wallMicros: () => NOW_MS * 1000 }
  const log = (_fields: object, message: string): void => {
    logged.push(message)
  }
  const gateway = createGateway({
    client: bucketClient(),
    config: { ...DEFAULT_GATEWAY_CONFIG, ...options.config },
    credentials: { find: (accessKey) => (accessKey === EXAMPLE.accessKey ? EXAMPLE : undefined) },
    clock,
    limits: options.limits ?? {},
    random: createSeededRandom(1),
    log: { error: log, warn: log, info: log },
    operations: new Map<OperationName, Operation>(
      [...smallOperations(objects), ...(options.operations ?? [])].map((built) => [built.name, built]),
    ),
    observe: (facts) => {
      observed.push(facts)
      wake(facts)
    },
    registerOwnPaths: (app) => {
      app.get('/-/health/live', async () => 'alive')
    },
  })
  const { port } = await gateway.listen({ host: '127.0.0.1', port: 0 })
  return {
    gateway,
    port,
    objects,
    observed,
    logged,
    nextObserved: () =>
      new Promise((resolve) => {
        wake = resolve
      }),
  }
}

function bucketClient(): CairnClient {
  const buckets: Partial<CairnClient> = {
    async getBucket(bucket) {
      if (bucket !== 'bucket') throw new CairnError('NoSuchBucket', 'no such bucket')
      const space = new Uint8Array(8) as never
      return { name: bucket, space, createdMs: 0, owner: 'owner', region: 'us-east-1', versioning: 'unset' }
    },
  }
  return buckets as CairnClient
}

function smallOperations(objects: Map<string, Buffer>): readonly Operation[] {
  return [
    { name: 'PutObject', handle: (context) => put(context, objects) },
    {
      name: 'GetObject',
      async handle({ key }): Promise<S3Response> {
        const bytes = objects.get(key)
        if (bytes === undefined) throw new CairnError('NoSuchKey', 'no such key')
        return { status: 200, headers: { 'Content-Length': bytes.length }, body: pieces(bytes) }
      },
    },
    {
      name: 'HeadObject',
      handle: async () => ({ status: 200, headers: { 'Content-Length': 7, ETag: '"x"' } }),
    },
    { name: 'DeleteObject', handle: async () => ({ status: 204 }) },
  ]
}

async function put(context: OperationContext, objects: Map<string, Buffer>): Promise<S3Response> {
  const { body, digests, seal } = context.openBody()
  const parts: Uint8Array[] = []
  for await (const part of body) parts.push(part)
  const bytes = Buffer.concat(parts)
  const computed: Digests = Object.fromEntries(
    (['MD5', ...digests] as const).map((name) => {
      const digest = createDigest(name)
      digest.update(bytes)
      return [name, digest.digest()]
    }),
  )
  const { checksum } = seal(computed, bytes.length)
  objects.set(context.key, bytes)
  return { status: 200, headers: { ETag: '"x"', 'x-amz-checksum-crc64nvme': checksum?.value } }
}

async function* pieces(bytes: Buffer): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
}

export interface SignedParts {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly host?: string
}

/** The head of a signed request, ready to send; further unsigned lines may be given. */
export function signedHead(parts: SignedParts, unsigned: readonly string[] = []): string {
  const signed = aws4.sign(
    {
      host: parts.host ?? HOST,
      method: parts.method,
      path: parts.path,
      service: 's3',
      region: 'us-east-1',
      headers: { 'X-Amz-Date': DATE, 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD', ...parts.headers },
    },
    { accessKeyId: EXAMPLE.accessKey, secretAccessKey: EXAMPLE.secretKey },
  )
  const lines = Object.entries(signed.headers).map(([name, value]) => `${name}: ${value}`)
  return `${[`${parts.method} ${parts.path} HTTP/1.1`, ...lines, ...unsigned].join('\r\n')}\r\n\r\n`
}

/** A presigned target; `dated` for the clock that stands still, else for now. */
export function presignedTarget(parts: SignedParts, options: { dated?: boolean } = {}): string {
  const separator = parts.path.includes('?') ? '&' : '?'
  const date = options.dated === true ? `&X-Amz-Date=${DATE}` : ''
  return aws4.sign(
    {
      host: parts.host ?? HOST,
      method: parts.method,
      path: `${parts.path}${separator}X-Amz-Expires=60${date}`,
      service: 's3',
      region: 'us-east-1',
      signQuery: true,
    },
    { accessKeyId: EXAMPLE.accessKey, secretAccessKey: EXAMPLE.secretKey },
  ).path
}

/** A signed head for a path that the signing library would refuse: its escapes are signed as they are. */
export function signedByHand(method: string, path: string): string {
  const headers = `host:${HOST}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:${DATE}\n`
  const names = 'host;x-amz-content-sha256;x-amz-date'
  const canonical = `${method}\n${path}\n\n${headers}\n${names}\nUNSIGNED-PAYLOAD`
  const scope = `${DATE.slice(0, 8)}/us-east-1/s3/aws4_request`
  const digest = createHash('sha256').update(canonical).digest('hex')
  let key: Buffer = Buffer.from(`AWS4${EXAMPLE.secretKey}`)
  for (const step of scope.split('/')) key = createHmac('sha256', key).update(step).digest()
  const text = `AWS4-HMAC-SHA256\n${DATE}\n${scope}\n${digest}`
  const signature = createHmac('sha256', key).update(text).digest('hex')
  return [
    `${method} ${path} HTTP/1.1`,
    `Host: ${HOST}`,
    `X-Amz-Date: ${DATE}`,
    'X-Amz-Content-Sha256: UNSIGNED-PAYLOAD',
    `Authorization: AWS4-HMAC-SHA256 Credential=${EXAMPLE.accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    'Content-Length: 0',
    '\r\n',
  ].join('\r\n')
}
