/** The benchmark's load generator as a black box. */
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { runOk } from './run.js'
import { connectS3 } from './s3.js'
import type { Server } from './server.js'

const FILL = fileURLToPath(new URL('../../../../bench/dist/src/fill.js', import.meta.url))
const BUCKET = 'fill'

export interface FillOptions {
  readonly objects: number
  readonly sizeBytes: number
  readonly connections?: number
}

export interface FillResult {
  /** Of one of the objects, `bucket/key`. */
  readonly path: string
  readonly seconds: number
  readonly perSecond: number
}

/** Stores small objects; the bucket `fill` is made if it is not there. */
export async function runLoadTool(server: Server, options: FillOptions): Promise<FillResult> {
  const s3 = connectS3(server)
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }))
  s3.destroy()
  const args = [
    ['--endpoint', server.endpoint],
    ['--access-key', server.accessKey],
    ['--secret-key', server.secretKey],
    ['--objects', String(options.objects)],
    ['--size', String(options.sizeBytes)],
    ['--connections', String(options.connections ?? 64)],
  ].flat()
  const said = await runOk(process.execPath, [FILL, ...args], { timeoutMs: 3_600_000 })
  const result = JSON.parse(said.stdout.toString()) as { seconds: number; perSecond: number }
  return { path: `${BUCKET}/0/object-7`, ...result }
}
