/**
 * Writes a whole body: cuts it, hashes it while it flows, and stores its blocks, at most BLOCKS_IN_FLIGHT_MAX at
 * once. Memory of one body: these blocks (24 MiB) in pooled frames, SHORT_BLOCKS_IN_FLIGHT_MAX (16 MiB) without, one
 * chunk of the caller's and, at the border of a block, what the transport holds of its streams' credit.
 */
import { BLOCK_BYTES_MAX, CairnError } from '@cairn/protocol'
import type { Digests, WriteOptions } from '../api.js'
import { BlockStream } from '../blocks/block-stream.js'
import type { StoredBlock, WriteScope } from '../blocks/stored-block.js'
import {
  BLOCKS_IN_FLIGHT_MAX,
  BODY_IDLE_MS,
  HASH_BYTES_PER_TURN,
  SHORT_BLOCKS_IN_FLIGHT_MAX,
} from '../limits.js'
import type { ClientParts, LateWrite } from '../parts.js'
import { cancelled, nextTurn, throwIfCancelled } from '../waiting.js'
import { storeBytes } from './block-maps.js'
import { type BodyDigests, digestBody, digestWhole } from './body-digests.js'
import { type BodyHead, type ByteSource, type CutUnit, UnitCutter } from './cut.js'

/** A body whose blocks are durable and whose length was checked. */
export interface WrittenBody {
  readonly blocks: readonly StoredBlock[]
  readonly sizeBytes: number
  readonly digests: Digests
}

/** Stores a body. `LengthMismatch` if it has not the bytes announced; `Cancelled` when the caller aborts. */
export async function writeBody(
  parts: ClientParts,
  scope: WriteScope,
  head: BodyHead,
  options: WriteOptions,
): Promise<WrittenBody> {
  if (head.whole === undefined) return new BodyWriter(parts, scope, options).run(head.source)
  const { whole } = head
  checkLength(whole.length, options.sizeBytes)
  const digests = digestWhole(whole, options.digests)
  const blocks = whole.length === 0 ? [] : [await storeBytes(parts, scope, whole)]
  return { blocks, sizeBytes: whole.length, digests }
}

function checkLength(sizeBytes: number, expectedBytes: number | undefined): void {
  if (expectedBytes === undefined || sizeBytes === expectedBytes) return
  throw new CairnError('LengthMismatch', `the body has ${sizeBytes} bytes instead of ${expectedBytes}`)
}

class BodyWriter implements LateWrite {
  /** See `Rostered`. */
  place = -1
  /** When the open block is ended because nothing comes. */
  deadlineAtMs: number = Number.POSITIVE_INFINITY
  private readonly parts: ClientParts
  private readonly scope: WriteScope
  private readonly options: WriteOptions
  private readonly digests: BodyDigests
  private readonly cutter: UnitCutter
  private readonly blocks: StoredBlock[] = []
  private finishing: Promise<StoredBlock>[] = []
  private readonly streams = new Set<BlockStream>()
  private current: BlockStream | undefined
  private sizeBytes = 0
  private hashedThisTurn = 0

  constructor(parts: ClientParts, scope: WriteScope, options: WriteOptions) {
    this.parts = parts
    this.scope = scope
    this.options = options
    this.digests = digestBody(parts.lanes, options)
    this.cutter = new UnitCutter(parts.frames)
  }

  async run(source: ByteSource): Promise<WrittenBody> {
    const { signal } = this.scope
    const onAbort = (): void => this.abort()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await this.consume(source)
      // Their last bytes are digested while the last block is being stored.
      const [digests] = await Promise.all([this.digests.digests(), this.takeFinished(0)])
      return { blocks: this.blocks, sizeBytes: this.sizeBytes, digests }
    } catch (error) {
      source.leave()
      this.abort()
      this.digests.leave()
      throw signal?.aborted ? cancelled(signal) : error
    } finally {
      this.cutter.leave()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  private async consume(source: ByteSource): Promise<void> {
    const { cutter } = this
    for (let chunk = await source.next(); chunk !== undefined; chunk = await this.nextChunk(source)) {
      cutter.add(chunk)
      for (let unit = cutter.take(); unit !== undefined; unit = cutter.take()) await this.append(unit)
      source.release(chunk)
    }
    const rest = cutter.rest()
    if (rest !== undefined) await this.append(rest)
    checkLength(this.sizeBytes, this.options.sizeBytes)
    this.endBlock()
  }

  /** Waits for the next chunk; ends the block if that takes too long. */
  private async nextChunk(source: ByteSource): Promise<Uint8Array | undefined> {
    if (this.current === undefined) return source.next()
    const { clock, late } = this.parts
    this.deadlineAtMs = clock.monotonicMs() + BODY_IDLE_MS
    late.watch(this)
    try {
      return await source.next()
    } finally {
      late.forget(this)
    }
  }

  /** See `nextChunk`. */
  expire(): void {
    this.parts.late.forget(this)
    this.endBlock()
  }

  private async append(unit: CutUnit): Promise<void> {
    const { length } = unit.bytes
    this.sizeBytes += length
    const { sizeBytes } = this.options
    if (sizeBytes !== undefined && this.sizeBytes > sizeBytes) checkLength(this.sizeBytes, sizeBytes)
    const stream = this.current ?? (await this.openBlock())
    this.digests.update(unit.bytes)
    stream.append(unit)
    this.hashedThisTurn += length
    if (this.hashedThisTurn >= HASH_BYTES_PER_TURN) await this.yield()
    if (!stream.hasRoom) await stream.room()
    if (!this.digests.hasRoom) await this.digests.room()
    if (stream.sizeBytes === BLOCK_BYTES_MAX) this.endBlock()
  }

  private yield(): Promise<void> {
    this.hashedThisTurn = 0
    return nextTurn(this.parts.clock)
  }

  /** Begins a block as soon as fewer than the limit are under way. */
  private async openBlock(): Promise<BlockStream> {
    const inFlightMax = this.parts.frames.isShort ? SHORT_BLOCKS_IN_FLIGHT_MAX : BLOCKS_IN_FLIGHT_MAX
    await this.takeFinished(inFlightMax - 1)
    throwIfCancelled(this.scope.signal)
    const stream = new BlockStream(this.parts, this.scope)
    this.streams.add(stream)
    this.current = stream
    return stream
  }

  /** The block goes on by itself. */
  private endBlock(): void {
    const stream = this.current
    if (stream === undefined) return
    this.current = undefined
    const finished = stream.finish().finally(() => this.streams.delete(stream))
    finished.catch(() => undefined)
    this.finishing.push(finished)
  }

  /** Waits, in the order of the body, until at most `leftMax` blocks are being finished. */
  private async takeFinished(leftMax: number): Promise<void> {
    while (this.finishing.length > leftMax) {
      const [first, ...later] = this.finishing
      if (first !== undefined) this.blocks.push(await first)
      this.finishing = later
    }
  }

  private abort(): void {
    for (const stream of this.streams) stream.abort()
  }
}
