/** One user of the cluster: asks a client for one random thing after the other and writes down what it was told. */
import type { ConnectedClient, OpenedObject, ReadRange } from '@cairn/client'
import { CairnError, hasCode } from '@cairn/protocol'
import type { ClientNode } from './cluster.js'
import { bodyOf, etagOfBody } from './content.js'
import type { Call, Condition, Ledger, Seen } from './history.js'
import { ProcessDied, pause, type SimulatedProcess } from './process.js'
import type { World } from './world.js'

export const BUCKET = 'bucket'
export const KEYS: readonly string[] = ['a', 'a/', 'a/b', 'ä %2F', 'b', 'c']
const SIZES = [0, 1, 100, 100, 65_535, 65_537, 200_000]
const LARGE_BYTES = 3 * 1024 * 1024

/** Codes that nobody should ever see: something broke that must not break. */
const BROKEN = ['Internal', 'MessageCorrupt', 'NoSuchMethod', 'BlockConflict', 'InvalidArgument'] as const

export interface WorkerOptions {
  readonly world: World
  readonly ledger: Ledger
  readonly node: ClientNode
  readonly isVersioned: boolean
  readonly thinkMs: number
  /** Longest pause in a body that comes in pieces; above 10 s it ends its block, which then waits for the rest. */
  readonly stallMs: number
}

/** A client in one of its lives. */
interface Life {
  readonly client: ConnectedClient
  readonly process: SimulatedProcess
}

/** Something a user does, by name. */
export interface Action {
  readonly name: string
  /** How often it is done, compared with the others. */
  readonly weight: number
  act(worker: Worker): Promise<void>
}

export class Worker {
  readonly world: World
  readonly ledger: Ledger
  private readonly options: WorkerOptions
  private life: Life | undefined

  constructor(options: WorkerOptions) {
    this.options = options
    this.world = options.world
    this.ledger = options.ledger
  }

  async run(count: number, draw: (world: World) => Action): Promise<void> {
    for (let done = 0; done < count; done++) {
      await pause(this.world.clock, this.world.random.fraction() * 2 * this.options.thinkMs)
      await this.act(draw(this.world))
    }
  }

  /** One action in the client's life of now. A client that dies or fails ends it. */
  async act({ name, act }: Pick<Action, 'name' | 'act'>): Promise<void> {
    this.life = await this.alive()
    try {
      await act(this)
    } catch (error) {
      if (error instanceof ProcessDied) return
      this.world.trace.note(`${this.options.node.name} ${name}: ${describeError(error)}`)
      if (!(error instanceof CairnError) || hasCode(error, ...BROKEN)) {
        this.ledger.violate(`${name} failed in a way it never should: ${describeError(error)}`)
      }
    }
  }

  get client(): ConnectedClient {
    return this.current.client
  }

  /** The promise's outcome as the user of this life sees it. */
  told<T>(promise: Promise<T>): Promise<T> {
    return this.current.process.outcome(promise)
  }

  anyKey(): string {
    return this.world.pick(KEYS)
  }

  drawSize(): number {
    return this.world.chance(0.01) ? LARGE_BYTES : this.world.pick(SIZES)
  }

  /** Does a write and notes its outcome; the result, if it was acknowledged. */
  async write<T>(call: Call, request: () => Promise<T>): Promise<T> {
    const number = this.ledger.calls.length
    this.world.trace.note(`${this.options.node.name} ${number} ${call.key} ${JSON.stringify(call.effect)}`)
    try {
      const result = await this.told(request())
      this.ledger.end(call, 'done')
      this.world.trace.note(`${number} done`)
      return result
    } catch (error) {
      this.noteFailure(call, error)
      this.world.trace.note(`${number} ${describeError(error)}`)
      throw error
    }
  }

  /** Notes that write `op` was acknowledged. */
  acknowledge(op: number, result: { readonly etag?: string; readonly versionId?: string }): void {
    const written = this.ledger.written.get(op)
    if (written === undefined) return
    written.isAcknowledged = true
    if (result.versionId !== undefined) written.versionId = result.versionId
    if (result.etag !== undefined && result.etag !== written.etag) {
      this.ledger.violate(`write ${op} has the ETag ${result.etag} instead of ${written.etag}`)
    }
  }

  async put(condition?: Condition, key: string = this.anyKey()): Promise<void> {
    const op = this.ledger.nextOp()
    const body = bodyOf(op, this.drawSize())
    this.ledger.willWrite(op, key, { body, etag: etagOfBody(body) })
    const effect = { kind: 'put', op, ...(condition === undefined ? {} : { condition }) } as const
    const options = { attributes: { userMetadata: { op: String(op) } }, ...preconditionsOf(condition) }
    const source = this.world.chance(0.5) ? body : this.inPieces(body)
    const call = this.ledger.begin(key, effect)
    this.acknowledge(op, await this.write(call, () => this.client.putObject(BUCKET, key, source, options)))
  }

  /** A put under the condition that the version just seen is still the current one. */
  async replace(): Promise<void> {
    const key = this.anyKey()
    const found = await this.look(key)
    if (found !== undefined) await this.put({ etag: found.object.etag }, key)
  }

  async delete(): Promise<void> {
    const key = this.anyKey()
    const call = this.ledger.begin(key, { kind: 'delete' })
    await this.write(call, () => this.client.deleteObject(BUCKET, { key }))
  }

  async deleteVersion(): Promise<void> {
    if (!this.options.isVersioned) return
    const known = [...this.ledger.written].filter(([, written]) => written.versionId !== undefined)
    if (known.length === 0) return
    const [op, written] = this.world.pick(known)
    const { key, versionId } = written
    if (versionId === undefined) return
    if (written.deletion === 'none') written.deletion = 'tried'
    const call = this.ledger.begin(key, { kind: 'delete version', op })
    await this.write(call, () => this.client.deleteObject(BUCKET, { key, versionId }))
    written.deletion = 'done'
  }

  async copy(): Promise<void> {
    const key = this.anyKey()
    const sourceKey = this.anyKey()
    const found = await this.look(sourceKey)
    if (found === undefined) return
    const { etag, versionId } = found.object
    const source = this.ledger.written.get(opOf(found))
    if (source === undefined) return
    const op = this.ledger.nextOp()
    this.ledger.willWrite(op, key, source)
    const call = this.ledger.begin(key, { kind: 'put', op })
    const from = { bucket: BUCKET, key: sourceKey, etag, ...(this.world.chance(0.3) ? { versionId } : {}) }
    const options = { attributes: { userMetadata: { op: String(op) } } }
    this.acknowledge(op, await this.write(call, () => this.client.copyObject(from, BUCKET, key, options)))
  }

  /** Reads a current version, or a part of it, and compares every byte. */
  async read({ isWhole }: { isWhole: boolean } = { isWhole: true }): Promise<void> {
    const found = await this.look(this.anyKey())
    if (found === undefined) return
    const { sizeBytes } = found.object
    if (isWhole || sizeBytes === 0) return this.told(this.compare(found))
    const offset = this.world.draw(sizeBytes)
    await this.told(this.compare(found, { offset, length: 1 + this.world.draw(sizeBytes - offset) }))
  }

  async list(): Promise<void> {
    const calls = this.ledger.beginListing(KEYS)
    try {
      const { objects } = await this.told(this.client.listObjects(BUCKET))
      this.ledger.endListing(
        calls,
        objects.filter(({ key }) => KEYS.includes(key)),
      )
    } catch (error) {
      for (const call of calls) this.ledger.forget(call)
      throw error
    }
  }

  /** Looks the current version up; `undefined` if there is none. */
  async look(key: string): Promise<OpenedObject | undefined> {
    const call = this.ledger.begin(key, { kind: 'read' })
    try {
      const found = await this.told(this.client.openObject(BUCKET, key))
      this.sees(call, { op: opOf(found) })
      return found
    } catch (error) {
      if (!hasCode(error, 'NoSuchKey')) {
        this.ledger.forget(call)
        throw error
      }
      this.sees(call, 'absent')
      return undefined
    }
  }

  /** Reads a version's bytes. An error is allowed, wrong bytes or too few are not. */
  async compare(found: OpenedObject, range?: ReadRange): Promise<void> {
    const op = opOf(found)
    const written = this.ledger.written.get(op)
    const pieces: Uint8Array[] = []
    for await (const piece of found.read(range)) pieces.push(Buffer.from(piece))
    const bytes = Buffer.concat(pieces)
    const { offset, length } = range ?? { offset: 0, length: written?.body.length ?? 0 }
    if (written === undefined || !bytes.equals(written.body.subarray(offset, offset + length))) {
      this.ledger.violate(`wrong bytes of write ${op} (${found.object.key}): ${bytes.length} of ${length}`)
    }
    if (found.object.etag !== written?.etag) this.ledger.violate(`wrong ETag of write ${op}`)
  }

  private get current(): Life {
    if (this.life === undefined) throw new Error('the worker has no client yet')
    return this.life
  }

  private sees(call: Call, seen: Seen): void {
    this.ledger.end(call, 'done', seen)
    this.world.trace.note(`${this.options.node.name} sees ${call.key} ${JSON.stringify(seen)}`)
  }

  private noteFailure(call: Call, error: unknown): void {
    const isConditional = call.effect.kind === 'put' && call.effect.condition !== undefined
    const isRefused = isConditional && hasCode(error, 'PreconditionFailed', 'NoSuchKey')
    if (mayHaveHappened(error)) this.ledger.end(call, 'unknown')
    else if (isRefused) this.ledger.end(call, 'refused')
    else this.ledger.forget(call)
  }

  private async *inPieces(body: Buffer): AsyncGenerator<Uint8Array> {
    const pieceBytes = 1 + this.world.draw(100_000)
    const { clock } = this.current.process
    let pausesLeft = this.world.draw(4)
    for (let at = 0; at < body.length; at += pieceBytes) {
      yield body.subarray(at, at + pieceBytes)
      const isStalling = this.world.chance(0.3) && --pausesLeft >= 0
      if (isStalling) await pause(clock, this.world.random.fraction() * this.options.stallMs)
    }
  }

  private async alive(): Promise<Life> {
    const { node } = this.options
    for (;;) {
      const { client, running, ready } = node
      if (ready && client !== undefined && running !== undefined) return { client, process: running }
      await pause(this.world.clock, 20)
    }
  }
}

/** The write that made an object, as the object itself says. */
export function opOf({ object }: Pick<OpenedObject, 'object'>): number {
  return Number(object.attributes.userMetadata?.op ?? Number.NaN)
}

/** Whether an error leaves open what has become of a write; all others promise that nothing has happened. */
export function mayHaveHappened(error: unknown): boolean {
  if (!(error instanceof CairnError)) return true
  return error.code === 'OutcomeUnknown' || error.details.afterLostAnswer === 'true'
}

export function preconditionsOf(condition: Condition | undefined): {
  preconditions?: { ifMatch: string[]; ifNoneMatch: string[] }
} {
  if (condition === undefined) return {}
  const preconditions =
    condition === 'absent'
      ? { ifMatch: [], ifNoneMatch: ['*'] }
      : { ifMatch: [condition.etag], ifNoneMatch: [] }
  return { preconditions }
}

function describeError(error: unknown): string {
  return error instanceof CairnError ? `${error.code}: ${error.message}` : String(error)
}
