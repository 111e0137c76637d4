/** Multipart uploads of a simulated user: parts replaced, copied and given up, completion tried more than once. */
import type { RequestedPart, UploadRef } from '@cairn/client'
import { hasCode, type UploadInfo } from '@cairn/protocol'
import { bodyOf, etagOfBody, etagOfParts } from './content.js'
import type { Condition, Effect } from './history.js'
import { BUCKET, mayHaveHappened, opOf, preconditionsOf, type Worker } from './worker.js'

/** More slices than fit an inline map, so that pages are written. */
const MANY_PARTS = 30
const COMPLETE_ATTEMPTS = 3

interface Part {
  readonly request: RequestedPart
  readonly body: Buffer
}

/** One upload from its creation to its end; its user may also leave it. */
export async function uploadObject(worker: Worker): Promise<void> {
  const { client, ledger, world } = worker
  const key = worker.anyKey()
  const op = ledger.nextOp()
  const attributes = { userMetadata: { op: String(op) } }
  const upload = refOf(key, await worker.told(client.createUpload(BUCKET, key, { attributes })))
  const parts: Part[] = []
  const count = world.chance(0.1) ? MANY_PARTS : 1 + world.draw(3)
  for (let number = 1; number <= count; number++) {
    const isCopy = count < MANY_PARTS && world.chance(0.3)
    const part = isCopy ? await copyPart(worker, upload, number) : undefined
    parts.push(part ?? (await writePart(worker, { upload, number, isTiny: count === MANY_PARTS })))
    if (world.chance(0.1)) parts[number - 1] = await writePart(worker, { upload, number, isTiny: true })
  }
  if (world.chance(0.1)) return
  if (world.chance(0.1)) return worker.told(client.abortUpload(upload))
  await complete(worker, { op, upload, parts })
}

/** The id of its map stands behind that of its space. */
export function mapOfUpload(uploadId: string): string {
  return uploadId.slice(16)
}

function refOf(key: string, { uploadId }: UploadInfo): UploadRef {
  return { bucket: BUCKET, key, uploadId }
}

async function writePart(
  worker: Worker,
  { upload, number, isTiny }: { upload: UploadRef; number: number; isTiny: boolean },
): Promise<Part> {
  const body = bodyOf(worker.ledger.nextOp(), isTiny ? 7 : worker.drawSize())
  const { etag } = await worker.told(worker.client.uploadPart(upload, number, body))
  if (etag !== etagOfBody(body)) worker.ledger.violate(`part ${number} has the ETag ${etag}`)
  return { request: { partNumber: number, etag }, body }
}

async function copyPart(worker: Worker, upload: UploadRef, number: number): Promise<Part | undefined> {
  const key = worker.anyKey()
  const found = await worker.look(key)
  const source = found === undefined ? undefined : worker.ledger.written.get(opOf(found))
  if (source === undefined || source.body.length === 0) return undefined
  const offset = worker.world.draw(source.body.length)
  const length = 1 + worker.world.draw(source.body.length - offset)
  const body = source.body.subarray(offset, offset + length)
  const from = { bucket: BUCKET, key, etag: source.etag }
  worker.ledger.entangled.add(mapOfUpload(upload.uploadId))
  worker.ledger.entangled.add(Buffer.from(found?.object.mapId ?? []).toString('hex'))
  const { etag } = await worker.told(worker.client.copyPart(upload, number, from, { offset, length }))
  if (etag !== etagOfBody(body)) worker.ledger.violate(`copied part ${number} has the ETag ${etag}`)
  return { request: { partNumber: number, etag }, body }
}

/** A user who was not told the outcome asks again: as long as the list is the same, the first result counts. */
async function complete(
  worker: Worker,
  { op, upload, parts }: { op: number; upload: UploadRef; parts: readonly Part[] },
): Promise<void> {
  const { client, ledger, world } = worker
  const bodies = parts.map(({ body }) => body)
  ledger.willWrite(op, upload.key, { body: Buffer.concat(bodies), etag: etagOfParts(bodies) })
  const condition: Condition | undefined = world.chance(0.2) ? 'absent' : undefined
  const effect: Effect = { kind: 'put', op, ...(condition === undefined ? {} : { condition }) }
  const options = { partBytesMin: 0, ...preconditionsOf(condition) }
  const requested = parts.map(({ request }) => request)
  const call = ledger.begin(upload.key, effect)
  const result = await worker.write(call, () => {
    return tryAgain(() => client.completeUpload(upload, requested, options))
  })
  worker.acknowledge(op, result)
}

/** Asks again after an unknown outcome. What is said then of the upload does not undo the first attempt. */
async function tryAgain<T>(request: () => Promise<T>): Promise<T> {
  let unknown: unknown
  for (let attempt = 1; ; attempt++) {
    try {
      return await request()
    } catch (error) {
      if (mayHaveHappened(error)) unknown = error
      if (!hasCode(error, 'OutcomeUnknown') || attempt >= COMPLETE_ATTEMPTS) throw unknown ?? error
    }
  }
}
