/** Where a workload plays: a bucket of its own at one target, with bodies whose checksums are known. */
import { randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { runClosedLoop } from '../load/closed-loop.js'
import { openConnection } from '../load/http-connection.js'
import { type RequestLine, signedHead } from '../load/signer.js'
import type { WorkItem } from '../load/work.js'
import type { Target } from '../target.js'

/** Different bodies of one size, so that no store gains by keeping equal ones once. */
const VARIANTS = 8
/** Above this, one body serves all. */
const VARIANT_BYTES_MAX = 1024 * 1024
/** Requests that fill a bucket before the clock runs. */
const FILL_CONNECTIONS = 32

interface Body {
  readonly bytes: Buffer
  readonly crc32: number
}

export interface Stage {
  readonly target: Target
  readonly bucket: string
  /** A signed request to a key of the bucket; with an empty key, to the bucket. */
  item(request: Omit<RequestLine, 'path'> & { readonly key: string }, expected?: Partial<WorkItem>): WorkItem
  /** PUT of the body that belongs to this key. */
  put(key: string, sizeBytes: number): WorkItem
  /** What a GET of a key stored by `put` gives. */
  expected(key: string, sizeBytes: number): { readonly bodyBytes: number; readonly crc32: number }
  /** Bytes of the body that belongs to this key. */
  body(key: string, sizeBytes: number): Buffer
  /** Sends requests before or between measurements. */
  run(items: Iterable<WorkItem>): Promise<void>
  /** Sends one request and gives its answer's head and body. */
  ask(item: WorkItem): Promise<{ readonly head: string; readonly body: string }>
}

/** Makes the bucket. */
export async function openStage(target: Target): Promise<Stage> {
  const bucket = `bench-${randomBytes(6).toString('hex')}`
  const stage = createStage(target, bucket)
  await stage.run([stage.item({ method: 'PUT', key: '' })])
  return stage
}

function createStage(target: Target, bucket: string): Stage {
  const bodies = new Map<number, Body[]>()
  function bodyOf(key: string, sizeBytes: number): Body {
    const known = bodies.get(sizeBytes) ?? makeBodies(sizeBytes)
    bodies.set(sizeBytes, known)
    return known[crc32(key) % known.length] as Body
  }
  const stage: Stage = {
    target,
    bucket,
    item: ({ key, ...request }, expected = {}) => ({
      request: {
        head: signedHead(target, { ...request, path: key === '' ? `/${bucket}` : `/${bucket}/${key}` }),
        isHead: request.method === 'HEAD',
      },
      status: 200,
      ...expected,
    }),
    put(key, sizeBytes) {
      const item = stage.item({ method: 'PUT', key, contentLength: sizeBytes })
      return { ...item, request: { ...item.request, body: bodyOf(key, sizeBytes).bytes } }
    },
    expected: (key, sizeBytes) => ({ bodyBytes: sizeBytes, crc32: bodyOf(key, sizeBytes).crc32 }),
    body: (key, sizeBytes) => bodyOf(key, sizeBytes).bytes,
    async run(items) {
      await runClosedLoop({ endpoint: target.endpoint, connections: FILL_CONNECTIONS, items })
    },
    async ask(item) {
      const connection = await openConnection(target.endpoint)
      const { head, body, status } = await connection.send(item.request, true)
      connection.close()
      const text = body?.toString() ?? ''
      if (status !== item.status) throw new Error(`${head.split('\r\n')[0]}: ${text}`)
      return { head, body: text }
    },
  }
  return stage
}

function makeBodies(sizeBytes: number): Body[] {
  const variants = sizeBytes > VARIANT_BYTES_MAX ? 1 : VARIANTS
  return Array.from({ length: variants }, () => {
    const bytes = randomBytes(sizeBytes)
    return { bytes, crc32: crc32(bytes) }
  })
}
