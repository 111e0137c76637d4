/**
 * A canonical seeded workload and what it knows: puts of many sizes, overwrites, multipart uploads, copies, deletes
 * and listings. Its history stays outside the server, so that the right state of every key is known for any moment.
 */
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { createLedger, type KeyState, type Ledger } from './ledger.js'
import { connectS3 } from './s3.js'
import { contentOf, createSeeded, type Seeded, sha256 } from './seeded.js'
import type { Server } from './server.js'

/** Where the workload writes. */
export const WORKLOAD_BUCKET = 'workload'

const PART_BYTES = 5 * 1024 * 1024
const SIZES = [0, 1, 100, 4096, 4097, 65_536, 65_537, 300_000, 1_200_000]
const KINDS = ['put', 'put', 'put', 'put', 'put', 'overwrite', 'overwrite', 'copy', 'delete', 'list'] as const
const MULTIPART_EVERY = 17

/** What became of an operation: acknowledged, or nobody knows. */
export type Outcome = 'acknowledged' | 'unknown'

/** One write, by the client's monotonic clock in nanoseconds. */
export interface HistoryEntry {
  readonly kind: string
  readonly key: string
  readonly state: KeyState
  readonly sizeBytes: number
  readonly beganNs: bigint
  endedNs: bigint
  outcome: Outcome
}

/** The writes of one or more runs, in the order in which they began. */
export type History = HistoryEntry[]

export interface WorkloadOptions {
  readonly operations: number
  readonly seeded?: Seeded
  /** Clients at once, each with keys of its own; 1 unless given. */
  readonly clients?: number
  /** Stands in the keys: runs on one server share a history only under names of their own. */
  readonly name?: string
  /** Asked before each operation; false ends the run. */
  readonly goesOn?: () => boolean
}

/** Runs against a server that may die under it. Resolves with what was sent; never rejects for a failed request. */
export async function runWorkload(
  server: Pick<Server, 'endpoint' | 'accessKey' | 'secretKey'>,
  options: WorkloadOptions,
): Promise<History> {
  const seeded = options.seeded ?? createSeeded()
  const history: History = []
  const s3 = connectS3(server)
  try {
    await s3.send(new CreateBucketCommand({ Bucket: WORKLOAD_BUCKET })).catch(() => undefined)
    const clients = Array.from({ length: options.clients ?? 1 }, (_, number) =>
      new Client(s3, seeded, history, `${options.name ?? 'a'}${number}`).run(options),
    )
    await Promise.all(clients)
  } finally {
    s3.destroy()
  }
  return history
}

/** What is right at a moment: acknowledged before it, or begun before it and not yet answered. */
export function ledgerAt(history: History, atNs: bigint): Ledger {
  const ledger = createLedger()
  for (const { key, state, beganNs, endedNs, outcome } of history) {
    if (beganNs > atNs) continue
    if (outcome === 'acknowledged' && endedNs <= atNs) ledger.acknowledge(key, state)
    else ledger.begin(key, state)
  }
  return ledger
}

/** What is right after all of it. */
export function ledgerOf(history: History): Ledger {
  return ledgerAt(history, process.hrtime.bigint())
}

/** One writer with keys of its own, one operation after the other. */
class Client {
  private readonly s3: S3Client
  private readonly seeded: Seeded
  private readonly history: History
  private readonly name: string
  private readonly alive: string[] = []
  /** The bodies of keys that copies may be made of. */
  private readonly states = new Map<string, { state: string; sizeBytes: number }>()
  private counter = 0

  constructor(s3: S3Client, seeded: Seeded, history: History, name: string) {
    this.s3 = s3
    this.seeded = seeded
    this.history = history
    this.name = name
  }

  async run({ operations, goesOn = () => true }: WorkloadOptions): Promise<void> {
    for (let at = 1; at <= operations && goesOn(); at++) await this.step(at).catch(() => undefined)
  }

  private async step(at: number): Promise<void> {
    const kind = at % MULTIPART_EVERY === 0 ? 'multipart' : this.seeded.pick(KINDS)
    const old = this.alive.length > 0 ? this.seeded.pick(this.alive) : undefined
    if (kind === 'multipart') await this.multipart(this.newKey())
    else if (kind === 'put' || old === undefined) await this.put(this.newKey())
    else if (kind === 'overwrite') await this.put(old)
    else if (kind === 'copy') await this.copy(old, this.newKey())
    else if (kind === 'delete') await this.remove(old)
    else await this.s3.send(new ListObjectsV2Command({ Bucket: WORKLOAD_BUCKET }))
  }

  private newKey(): string {
    return `${this.name}/k${this.counter++}`
  }

  private async put(key: string): Promise<void> {
    const Body = contentOf(`${key}#${this.history.length}`, this.seeded.pick(SIZES))
    await this.write({ kind: 'put', key, state: sha256(Body), sizeBytes: Body.length }, () =>
      this.s3.send(new PutObjectCommand({ Bucket: WORKLOAD_BUCKET, Key: key, Body })),
    )
  }

  private async copy(from: string, key: string): Promise<void> {
    const source = this.states.get(from)
    if (source === undefined) return
    const CopySource = `${WORKLOAD_BUCKET}/${from}`
    await this.write({ kind: 'copy', key, ...source }, () =>
      this.s3.send(new CopyObjectCommand({ Bucket: WORKLOAD_BUCKET, Key: key, CopySource })),
    )
  }

  private async remove(key: string): Promise<void> {
    this.forget(key)
    await this.write({ kind: 'delete', key, state: undefined, sizeBytes: 0 }, () =>
      this.s3.send(new DeleteObjectCommand({ Bucket: WORKLOAD_BUCKET, Key: key })),
    )
  }

  private async multipart(key: string): Promise<void> {
    const parts = [contentOf(`${key}/1`, PART_BYTES), contentOf(`${key}/2`, this.seeded.pick(SIZES))]
    const target = { Bucket: WORKLOAD_BUCKET, Key: key }
    const { UploadId } = await this.s3.send(new CreateMultipartUploadCommand(target))
    const Parts: { PartNumber: number; ETag: string | undefined }[] = []
    for (const [index, Body] of parts.entries()) {
      const PartNumber = index + 1
      const { ETag } = await this.s3.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }))
      Parts.push({ PartNumber, ETag })
    }
    const whole = Buffer.concat(parts)
    await this.write({ kind: 'multipart', key, state: sha256(whole), sizeBytes: whole.length }, () =>
      this.s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } })),
    )
  }

  private forget(key: string): void {
    const at = this.alive.indexOf(key)
    if (at >= 0) this.alive.splice(at, 1)
    this.states.delete(key)
  }

  private async write(
    what: Pick<HistoryEntry, 'kind' | 'key' | 'state' | 'sizeBytes'>,
    send: () => Promise<unknown>,
  ): Promise<void> {
    // Copies are made only of what is known for sure.
    this.forget(what.key)
    const now = process.hrtime.bigint()
    const entry: HistoryEntry = { ...what, beganNs: now, endedNs: now, outcome: 'unknown' }
    this.history.push(entry)
    await send()
    entry.endedNs = process.hrtime.bigint()
    entry.outcome = 'acknowledged'
    if (what.state === undefined) return
    this.alive.push(what.key)
    this.states.set(what.key, { state: what.state, sizeBytes: what.sizeBytes })
  }
}
