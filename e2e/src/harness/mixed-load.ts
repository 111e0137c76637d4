/**
 * A steady mixed load through several gateways, with a ledger of what was acknowledged. Each key has one writer, who
 * reads it back through any gateway: what it finds must be the last state acknowledged, or that of an operation
 * without an answer; so a lost byte, a wrong one, a deleted object that is back and a stale read all show at once.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { createLedger, type KeyState, type Ledger } from './ledger.js'
import { contentOf, createSeeded, type Seeded, sha256 } from './seeded.js'
import type { Answer, SignedClient } from './signed-client.js'

const KINDS = ['put', 'put', 'put', 'get', 'get', 'get', 'get', 'delete', 'list', 'multipart'] as const
const SIZES = [1, 100, 4096, 4096, 65_537, 300_000]
const PART_BYTES = 5 * 1024 * 1024
/** Of the uploads drawn, so many are made: they are much more work than the rest. */
const MULTIPART_SHARE = 0.1
const KEYS_PER_WRITER = 24
const THINK_MS = 60
const CHECKERS = 8
/** Of the requests meant for a gateway that fails, so many go there. */
const FAILING_SHARE = 0.2
const CHECK_TRIES = 10

/** One request, by `performance.now()`. */
export interface Sample {
  readonly isRead: boolean
  /** Needs blocks to be stored. */
  readonly isStored: boolean
  readonly gateway: number
  readonly beganMs: number
  readonly endedMs: number
  readonly outcome: 'done' | 'failed'
}

export interface MixedLoadOptions {
  readonly clients: readonly SignedClient[]
  readonly bucket: string
  readonly writers: number
  /** Mean pause after a request; 60 ms unless given. */
  readonly thinkMs?: number
  readonly seeded: Seeded
}

export interface MixedLoad {
  /** Requests so far, in the order in which they ended. */
  readonly samples: readonly Sample[]
  /** What was found wrong so far. */
  readonly complaints: readonly string[]
  /** Ends the load; resolves when every request has its outcome. */
  stop(): Promise<void>
  /** Reads every key through each gateway. */
  check(): Promise<void>
}

/** Makes the bucket and starts the load. */
export async function startMixedLoad(options: MixedLoadOptions): Promise<MixedLoad> {
  const made = await options.clients[0]?.send('PUT', `/${options.bucket}`)
  if (made?.status !== 200) throw new Error(`no bucket: ${made?.status} ${made?.body}`)
  const state: State = { samples: [], complaints: [], failing: new Set(), isOver: false }
  const seed = options.seeded.seed
  const writers = Array.from({ length: options.writers }, (_, at) => {
    return new Writer(options, state, { name: `w${at}`, seeded: createSeeded(seed + at) })
  })
  const running = writers.map((writer) => writer.run())
  return {
    samples: state.samples,
    complaints: state.complaints,
    async stop() {
      state.isOver = true
      await Promise.all(running)
    },
    async check() {
      const checks = writers.flatMap((writer) => writer.checks())
      await Promise.all(
        Array.from({ length: CHECKERS }, async () => {
          for (let check = checks.pop(); check !== undefined; check = checks.pop()) await check()
        }),
      )
    },
  }
}

/** `store` is a change that needs blocks. */
type RequestKind = 'read' | 'change' | 'store'

interface State {
  readonly samples: Sample[]
  readonly complaints: string[]
  /** Gateways whose last request failed. */
  readonly failing: Set<number>
  isOver: boolean
}

class Writer {
  private readonly options: MixedLoadOptions
  private readonly state: State
  private readonly name: string
  private readonly seeded: Seeded
  private readonly ledger: Ledger = createLedger()
  /** Keys whose state is known for sure. */
  private readonly certain = new Map<string, KeyState>()
  /** What a write without an answer may make of a key, now or at any later time: nothing else is written there. */
  private readonly doubtful = new Map<string, KeyState>()
  /** The key in each of the writer's places. */
  private readonly places: string[]
  private writes = 0

  constructor(options: MixedLoadOptions, state: State, own: { name: string; seeded: Seeded }) {
    this.options = options
    this.state = state
    this.name = own.name
    this.seeded = own.seeded
    this.places = Array.from({ length: KEYS_PER_WRITER }, (_, at) => `${own.name}/k${at}`)
  }

  async run(): Promise<void> {
    while (!this.state.isOver) {
      await this.step().catch(() => undefined)
      await delay((this.options.thinkMs ?? THINK_MS) * 2 * this.seeded.fraction())
    }
  }

  /** A check of each key through each gateway. */
  checks(): (() => Promise<void>)[] {
    return this.ledger
      .keys()
      .flatMap((key) => this.options.clients.map((_, gateway) => () => this.confirm(key, gateway)))
  }

  /** Reads a key until it is told what is there. */
  private async confirm(key: string, gateway: number): Promise<void> {
    for (let left = CHECK_TRIES; left > 0; left--) {
      if (await this.read(key, gateway).catch(() => false)) return
      await delay(1_000)
    }
    this.state.complaints.push(`${key} cannot be read through gateway ${gateway + 1}`)
  }

  private async step(): Promise<void> {
    const key = this.seeded.pick(this.places)
    const kind = this.seeded.pick(KINDS)
    if (kind === 'put') await this.put(key)
    else if (kind === 'delete') await this.remove(key)
    else if (kind === 'list') await this.list()
    else if (kind === 'multipart' && this.seeded.fraction() < MULTIPART_SHARE) await this.multipart(key)
    else await this.read(key, this.anyGateway())
  }

  /** One that has just failed is tried now and then. */
  private anyGateway(): number {
    const gateway = this.seeded.below(this.options.clients.length)
    if (!this.state.failing.has(gateway) || this.seeded.fraction() < FAILING_SHARE) return gateway
    return (gateway + 1) % this.options.clients.length
  }

  private path(key: string): string {
    return `/${this.options.bucket}/${key}`
  }

  private async put(key: string): Promise<void> {
    const body = contentOf(`${key}#${this.writes++}`, this.seeded.pick(SIZES))
    const kind = 'store'
    await this.change({ key, state: sha256(body), kind }, (client) =>
      client.send('PUT', this.path(key), { body }),
    )
  }

  private async remove(key: string): Promise<void> {
    const kind = 'change'
    await this.change({ key, state: undefined, kind }, (client) => client.send('DELETE', this.path(key)))
  }

  private async multipart(key: string): Promise<void> {
    const gateway = this.anyGateway()
    const label = `${key}#${this.writes++}`
    const parts = [contentOf(`${label}/1`, PART_BYTES), contentOf(`${label}/2`, this.seeded.pick(SIZES))]
    const begun = await this.request(gateway, 'change', (client) =>
      client.send('POST', `${this.path(key)}?uploads=`),
    )
    const upload = /<UploadId>(.*?)<\/UploadId>/.exec(begun.body.toString())?.[1] ?? ''
    const tags: string[] = []
    for (const [at, body] of parts.entries()) {
      const path = `${this.path(key)}?partNumber=${at + 1}&uploadId=${upload}`
      const sent = await this.request(gateway, 'store', (client) => client.send('PUT', path, { body }))
      tags.push(`<Part><PartNumber>${at + 1}</PartNumber><ETag>${sent.headers.etag}</ETag></Part>`)
    }
    const body = Buffer.from(`<CompleteMultipartUpload>${tags.join('')}</CompleteMultipartUpload>`)
    const state = sha256(Buffer.concat(parts))
    await this.change({ key, state, kind: 'change' }, (client) =>
      client.send('POST', `${this.path(key)}?uploadId=${upload}`, { body }),
    )
  }

  /** Sends what leaves `state`; without an answer that says so, it may or may not have happened. */
  private async change(
    { key, state, kind }: { key: string; state: KeyState; kind: RequestKind },
    send: (client: SignedClient) => Promise<Answer>,
  ): Promise<void> {
    this.ledger.begin(key, state)
    this.certain.delete(key)
    try {
      const answer = await this.request(this.anyGateway(), kind, send)
      // The answer to Complete begins before its end is known: an error may follow a 200.
      if (answer.body.includes('<Error>')) throw new Error(answer.body.toString())
    } catch (error) {
      this.doubtful.set(key, state)
      this.places[this.places.indexOf(key)] = `${key.replace(/-\d+$/, '')}-${this.writes}`
      throw error
    }
    this.ledger.acknowledge(key, state)
    this.certain.set(key, state)
  }

  /** True if it was told what is there. */
  private async read(key: string, gateway: number): Promise<boolean> {
    const answer = await this.request(gateway, 'read', (client) => client.send('GET', this.path(key)))
    const found = answer.status === 404 ? undefined : sha256(answer.body)
    const complaint = this.ledger.check(key, found)
    if (complaint !== undefined) this.state.complaints.push(`${complaint}, through gateway ${gateway + 1}`)
    if (!this.doubtful.has(key)) this.certain.set(key, found)
    else if (found !== this.doubtful.get(key)) this.ledger.begin(key, this.doubtful.get(key))
    return true
  }

  /** What is certain must be listed or not listed. */
  private async list(): Promise<void> {
    const certain = [...this.certain]
    const path = `/${this.options.bucket}?list-type=2&prefix=${encodeURIComponent(`${this.name}/`)}`
    const answer = await this.request(this.anyGateway(), 'read', (client) => client.send('GET', path))
    const listed = new Set([...answer.body.toString().matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key]) => key))
    for (const [key, state] of certain) {
      if (listed.has(key) === (state !== undefined)) continue
      this.state.complaints.push(`${key} is ${state === undefined ? 'listed but deleted' : 'not listed'}`)
    }
  }

  /** Notes how long it took and what became of it; rejects unless it did what it was asked. */
  private async request(
    gateway: number,
    what: RequestKind,
    send: (client: SignedClient) => Promise<Answer>,
  ): Promise<Answer> {
    const isRead = what === 'read'
    const beganMs = performance.now()
    let outcome: Sample['outcome'] = 'failed'
    try {
      const answer = await send(this.options.clients[gateway] as SignedClient)
      const isDone = answer.status < 300 || (isRead && answer.status === 404)
      if (!isDone) throw new Error(`${answer.status} ${answer.body}`)
      outcome = 'done'
      return answer
    } finally {
      if (outcome === 'done') this.state.failing.delete(gateway)
      else this.state.failing.add(gateway)
      this.state.samples.push({
        isRead,
        isStored: what === 'store',
        gateway,
        beganMs,
        endedMs: performance.now(),
        outcome,
      })
    }
  }
}
