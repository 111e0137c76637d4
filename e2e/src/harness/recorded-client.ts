/** One user of a few keys of a bucket, who does random things and writes down what it was told. */
import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Call, CallHistory, Condition } from '../check/index.js'
import { contentOf, type Seeded } from './seeded.js'
import type { Answer, SendOptions, SignedClient } from './signed-client.js'

/** What is done, and how often. */
const KINDS = {
  put: 16,
  get: 24,
  create: 8,
  replace: 8,
  delete: 8,
  list: 6,
  upload: 5,
  'large upload': 1,
  'delete version': 4,
} as const
type Kind = keyof typeof KINDS
const CHOICES: readonly Kind[] = Object.entries(KINDS).flatMap(([kind, weight]) => Array(weight).fill(kind))

const SIZES = [1, 100, 4096, 65_537]
const PART_BYTES = 5 * 1024 * 1024
const TIMEOUT_MS = 8_000
const THINK_MS = 80
/** Of the requests so many go to the other gateway. */
const OTHER_SHARE = 0.2

export interface RecordedBucket {
  readonly name: string
  readonly isVersioned: boolean
}

export interface RecordedClientOptions {
  readonly bucket: RecordedBucket
  /** Begin what the keys begin with. */
  readonly prefix: string
  readonly keys: readonly string[]
  readonly history: CallHistory
  readonly seeded: Seeded
  /** The first is this client's own. */
  readonly gateways: readonly SignedClient[]
  /** Mean pause after a request; 80 ms unless given. */
  readonly thinkMs?: number
}

export class RecordedClient {
  private readonly options: RecordedClientOptions
  private readonly versions: { readonly key: string; readonly op: number; readonly versionId: string }[] = []

  constructor(options: RecordedClientOptions) {
    this.options = options
  }

  /** One thing after the other while `goesOn` says so. */
  async run(goesOn: () => boolean): Promise<void> {
    const { seeded, thinkMs = THINK_MS } = this.options
    while (goesOn()) {
      await this.act()
      await delay(thinkMs * 2 * seeded.fraction())
    }
  }

  private async act(): Promise<void> {
    const { seeded, keys } = this.options
    const key = seeded.pick(keys)
    switch (seeded.pick(CHOICES)) {
      case 'put':
        return this.put(key)
      case 'create':
        return this.put(key, 'absent')
      case 'replace':
        return this.replace(key)
      case 'get':
        return void (await this.get(key))
      case 'delete':
        return this.remove(key)
      case 'list':
        return this.list()
      case 'upload':
        return this.upload(key, [100])
      case 'large upload':
        return this.upload(key, [PART_BYTES, 1000])
      case 'delete version':
        return this.removeVersion()
    }
  }

  private async put(key: string, condition?: Condition): Promise<void> {
    const { history, seeded } = this.options
    const op = history.nextOp()
    const body = contentOf(`write ${op} of ${key}`, seeded.pick(SIZES))
    history.willWrite(op, key, { body, etag: md5(body) })
    const call = history.begin(key, { kind: 'put', op, ...(condition === undefined ? {} : { condition }) })
    const headers = { 'x-amz-meta-op': String(op), ...headersOf(condition) }
    this.noteWrite(call, op, await this.send('PUT', this.path(key), { body, headers }))
  }

  /** Under the condition that what was just seen is still there. */
  private async replace(key: string): Promise<void> {
    const etag = await this.get(key)
    if (etag !== undefined) await this.put(key, { etag })
  }

  private async upload(key: string, sizes: readonly number[]): Promise<void> {
    const { history } = this.options
    const op = history.nextOp()
    const parts = sizes.map((size, at) => contentOf(`write ${op} of ${key}, part ${at + 1}`, size))
    const etag = `${md5(Buffer.concat(parts.map((part) => Buffer.from(md5(part), 'hex'))))}-${parts.length}`
    history.willWrite(op, key, { body: Buffer.concat(parts), etag })
    const headers = { 'x-amz-meta-op': String(op) }
    const begun = await this.send('POST', `${this.path(key)}?uploads=`, { headers })
    const upload = /<UploadId>(.*?)<\/UploadId>/.exec(begun?.body.toString() ?? '')?.[1]
    if (upload === undefined) return
    for (const [at, body] of parts.entries()) {
      const path = `${this.path(key)}?partNumber=${at + 1}&uploadId=${upload}`
      if ((await this.send('PUT', path, { body }))?.status !== 200) return
    }
    const tags = parts.map(
      (part, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${md5(part)}</ETag></Part>`,
    )
    const body = Buffer.from(`<CompleteMultipartUpload>${tags.join('')}</CompleteMultipartUpload>`)
    const call = history.begin(key, { kind: 'put', op })
    this.noteWrite(call, op, await this.send('POST', `${this.path(key)}?uploadId=${upload}`, { body }))
  }

  private async remove(key: string): Promise<void> {
    const call = this.options.history.begin(key, { kind: 'delete' })
    this.note(call, await this.send('DELETE', this.path(key)))
  }

  private async removeVersion(): Promise<void> {
    const { bucket, history, seeded } = this.options
    if (!bucket.isVersioned || this.versions.length === 0) return
    const { key, op, versionId } = seeded.pick(this.versions)
    const call = history.begin(key, { kind: 'delete version', op })
    this.note(call, await this.send('DELETE', `${this.path(key)}?versionId=${versionId}`))
  }

  /** The ETag that was seen. */
  private async get(key: string): Promise<string | undefined> {
    const { history } = this.options
    const call = history.begin(key, { kind: 'read' })
    const answer = await this.send('GET', this.path(key))
    if (answer?.status === 404) history.end(call, 'done', 'absent')
    else if (answer?.status === 200) return this.noteRead(call, answer)
    else history.forget(call)
    return undefined
  }

  private noteRead(call: Call, { headers, body }: Answer): string {
    const { history } = this.options
    const op = Number(headers['x-amz-meta-op'])
    const etag = bare(headers.etag ?? '')
    history.end(call, 'done', { op })
    history.readBody(op, { body, etag })
    return etag
  }

  private async list(): Promise<void> {
    const { bucket, prefix, keys, history } = this.options
    const calls = history.beginListing(keys)
    const answer = await this.send('GET', `/${bucket.name}?list-type=2&prefix=${encodeURIComponent(prefix)}`)
    if (answer?.status !== 200) {
      for (const call of calls) history.forget(call)
      return
    }
    const text = answer.body.toString()
    const listed = [...text.matchAll(/<Key>(.*?)<\/Key>.*?<ETag>(.*?)<\/ETag>/gs)]
    history.endListing(
      calls,
      listed.map(([, key = '', etag = '']) => ({ key, etag: bare(etag.replaceAll('&quot;', '"')) })),
    )
  }

  private path(key: string): string {
    return `/${this.options.bucket.name}/${key}`
  }

  /** `undefined`: no answer. */
  private send(method: string, path: string, options: SendOptions = {}): Promise<Answer | undefined> {
    const { gateways, seeded } = this.options
    const gateway = seeded.fraction() < OTHER_SHARE ? gateways.at(-1) : gateways[0]
    return (gateway as SignedClient)
      .send(method, path, { timeoutMs: TIMEOUT_MS, ...options })
      .catch(() => undefined)
  }

  private noteWrite(call: Call, op: number, answer: Answer | undefined): void {
    this.note(call, answer)
    const versionId = answer?.headers['x-amz-version-id']
    if (call.outcome === 'done' && versionId !== undefined)
      this.versions.push({ key: call.key, op, versionId })
  }

  /** 2xx: done. 412, or 404 where something was to be there: refused. All others may have happened. */
  private note(call: Call, answer: Answer | undefined): void {
    const { history } = this.options
    const isConditional = call.effect.kind === 'put' && call.effect.condition !== undefined
    const status = answer?.body.includes('<Error>') && answer.status < 300 ? 500 : (answer?.status ?? 500)
    if (status < 300) history.end(call, 'done')
    else if (isConditional && (status === 412 || status === 404)) history.end(call, 'refused')
    else if (status === 409) history.forget(call)
    else if (status < 500) history.violate(`${JSON.stringify(call.effect)}: ${status} ${answer?.body}`)
    else history.end(call, 'unknown')
  }
}

function headersOf(condition: Condition | undefined): Record<string, string> {
  if (condition === undefined) return {}
  return condition === 'absent' ? { 'if-none-match': '*' } : { 'if-match': `"${condition.etag}"` }
}

function bare(etag: string): string {
  return etag.replaceAll('"', '')
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}
