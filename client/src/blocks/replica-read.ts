import {
  BLOCK_DEADLINE_MS,
  type BlockId,
  CairnError,
  getBlock,
  groupOf,
  sameBytes,
  UNIT_BYTES,
  type Unit,
  type UnitStream,
  withToken,
} from '@cairn/protocol'
import type { BlockTokens } from '../cluster/block-tokens.js'
import type { Target } from '../cluster/cluster-view.js'
import type { Bell } from '../waiting.js'

/** Bytes [from, to) of a block, and what the block map says of the whole block. */
export interface BlockRead {
  readonly pool: number
  readonly block: BlockId
  readonly blockBytes: number
  readonly hash: Uint8Array
  readonly from: number
  readonly to: number
}

/** By which tokens a replica is read, and until when. */
export interface ReplicaReadOptions {
  readonly tokens: Pick<BlockTokens, 'tokenOf'>
  readonly signal: AbortSignal | undefined
}

/**
 * One replica being read from a unit on. Holds at most one unit. Everything that arrives rings the reader's bell.
 */
export class ReplicaRead {
  readonly target: Target
  unit: Unit | undefined
  error: unknown
  failed = false
  private body: UnitStream | undefined
  private iterator: AsyncIterator<Unit> | undefined
  private left = false
  private startedMs = 0
  private heard = false
  private counted = true
  private readonly bell: Bell
  private readonly nowMs: () => number

  constructor(target: Target, bell: Bell, nowMs: () => number) {
    this.target = target
    this.bell = bell
    this.nowMs = nowMs
    target.peer.inFlight++
    target.peer.readsBegun++
  }

  /** Something is here for the reader to look at. */
  get isReady(): boolean {
    return this.unit !== undefined || this.failed
  }

  open(read: BlockRead, firstUnit: number, options: ReplicaReadOptions): void {
    this.run(read, firstUnit, options).catch((error: unknown) => this.fail(error))
  }

  /** Takes the unit that has arrived. */
  take(): Unit | undefined {
    const unit = this.unit
    this.unit = undefined
    return unit
  }

  /** Asks for the next unit. */
  pull(): void {
    const ready = this.poll()
    if (ready !== undefined) this.accept(ready)
    else this.wait()
  }

  private wait(): void {
    this.iterator?.next().then(
      (result) => this.accept(result),
      (error: unknown) => this.fail(error),
    )
  }

  /** The rest is not wanted. */
  leave(): void {
    this.finish()
    this.cancelBody()
  }

  /** Another replica has served the read. */
  overtake(): void {
    const { peer } = this.target
    if (!this.heard) {
      peer.overtaken++
      peer.overtakenAtMs = this.nowMs()
      // Its answer may come late, or never: so long it took at least.
      if (this.startedMs > 0) peer.reads.add(peer.overtakenAtMs - this.startedMs)
    }
    this.leave()
  }

  /** All that was wanted has been taken: only the end of the body may still come. */
  end(): void {
    this.finish()
    this.pull()
  }

  private async run(
    read: BlockRead,
    firstUnit: number,
    { signal, tokens }: ReplicaReadOptions,
  ): Promise<void> {
    const startedMs = this.nowMs()
    this.startedMs = startedMs
    const offset = firstUnit * UNIT_BYTES
    const place = { drive: this.target.drive, block: read.block, offset, length: read.to - offset }
    const known = tokens.tokenOf(groupOf(read.block))
    const token = known instanceof Promise ? await known : known
    const request = withToken(place, token)
    const deadlineMs = BLOCK_DEADLINE_MS
    const options = signal === undefined ? { deadlineMs } : { deadlineMs, signal }
    const reply = await this.target.peer.rpc.call(getBlock, request, options)
    this.heard = true
    // What comes late, when another has served the read, is no sign that it is well.
    if (!this.left) this.target.peer.overtaken = 0
    this.body = reply.body
    this.iterator = reply.body[Symbol.asyncIterator]()
    const { blockBytes, hash } = reply.response
    if (this.left) return this.cancelBody()
    if (
      blockBytes !== read.blockBytes ||
      !sameBytes(hash, read.hash) ||
      reply.response.firstUnit !== firstUnit
    ) {
      this.cancelBody()
      throw new CairnError('BlockCorrupt', 'the replica holds another content than the map names')
    }
    this.accept(this.poll() ?? (await this.iterator.next()))
    this.target.peer.reads.add(this.nowMs() - startedMs)
  }

  /** What the body has at hand. */
  private poll(): IteratorResult<Unit> | undefined {
    return this.body?.poll?.()
  }

  private accept(result: IteratorResult<Unit>): void {
    if (this.left) {
      if (!result.done) this.cancelBody()
      return
    }
    if (result.done) this.fail(new CairnError('BlockCorrupt', 'the replica ended early'))
    else {
      this.unit = result.value
      this.bell.ring()
    }
  }

  private fail(error: unknown): void {
    this.heard = true
    this.uncount()
    if (this.left) return
    this.failed = true
    this.error = error
    this.bell.ring()
  }

  private cancelBody(): void {
    this.iterator?.return?.()?.catch(() => undefined)
  }

  private finish(): void {
    this.left = true
    this.uncount()
  }

  private uncount(): void {
    if (this.counted) this.target.peer.inFlight--
    this.counted = false
  }
}
