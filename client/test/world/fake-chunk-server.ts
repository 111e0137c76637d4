/** A chunk server of one drive in memory, with faults. Speaks the real RPC; shares no code with the real one. */
import {
  type AnswerAtHand,
  type BlockId,
  CairnError,
  type Clock,
  createRouter,
  type ErrorCode,
  formatId,
  type GetBlockRequest,
  type GetBlockResponse,
  getBlock,
  hashBlock,
  putBlock,
  type RpcRouterTable,
  UNIT_BYTES,
  type Unit,
  type UnitStream,
} from '@cairn/protocol'

export interface StoredReplica {
  readonly block: BlockId
  readonly units: Unit[]
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly map: string
}

export class FakeChunkServer {
  readonly drive: string
  readonly blocks: Map<string, StoredReplica> = new Map()
  puts = 0
  gets = 0
  /** Reads asked for in the turn. */
  getsNow = 0
  /** Has its blocks at hand for callers in this process. */
  isWarm = false
  deletes = 0
  /** Units handed over and not yet stored, and their largest number so far. */
  unitsTaken = 0
  /** Epochs below this are refused. */
  lowestEpoch = 0
  putError: ErrorCode | undefined
  /** Says of each block, in words, that it was stored. */
  givesReceipts = false
  getError: ErrorCode | undefined
  /** Requests wait so long before anything else. */
  delayMs = 0
  /** Nothing is answered and no body is read while this is set. */
  hangs = false
  /** Fails a read after so many units. */
  breakAfterUnits: number | undefined
  private readonly clock: Clock

  constructor(drive: string, clock: Clock) {
    this.drive = drive
    this.clock = clock
  }

  get router(): RpcRouterTable {
    const router = createRouter()
    router.handle(putBlock, async (request, call) => {
      this.puts++
      await this.before(call.signal)
      if (request.epoch < this.lowestEpoch) throw new CairnError('StaleClusterMap', 'an older epoch')
      if (this.putError !== undefined) throw new CairnError(this.putError, 'as the test wants it')
      if (request.drive !== this.drive) throw new CairnError('NoSuchDrive', request.drive)
      const units = await this.take(call.body)
      const bytes = Buffer.concat(units.map((unit) => unit.bytes))
      const hash = hashBlock(bytes)
      const { block } = request
      const map = formatId(request.owner.map)
      const replica = { block: Uint8Array.from(block) as BlockId, units, sizeBytes: bytes.length, hash, map }
      this.blocks.set(formatId(block), replica)
      const receipt = Buffer.from(`${this.drive} ${request.epoch} ${formatId(block)}`)
      return { response: { sizeBytes: bytes.length, hash, ...(this.givesReceipts && { receipt }) } }
    })
    router.handle(
      getBlock,
      async (request, call) => {
        this.gets++
        await this.before(call.signal)
        const { response, units } = this.find(request)
        return { response, body: this.give(units) }
      },
      (request) => {
        if (!this.isWarm) return undefined
        this.getsNow++
        return this.find(request)
      },
    )
    return router
  }

  /** Flips a bit of a stored unit; with `fixCheck` its check is made to fit. */
  spoil(
    unitIndex: number,
    check: (block: BlockId, index: number, bytes: Uint8Array) => number | undefined,
  ): void {
    for (const replica of this.blocks.values()) {
      const unit = replica.units[unitIndex]
      if (unit === undefined) continue
      const bytes = Uint8Array.from(unit.bytes)
      bytes[0] = (bytes[0] ?? 0) ^ 1
      replica.units[unitIndex] = { bytes, check: check(replica.block, unitIndex, bytes) ?? unit.check }
    }
  }

  private find({ block, offset, length }: GetBlockRequest): AnswerAtHand<GetBlockResponse> {
    if (this.getError !== undefined) throw new CairnError(this.getError, 'as the test wants it')
    const replica = this.blocks.get(formatId(block))
    if (replica === undefined) throw new CairnError('NoSuchBlock', 'not here')
    const firstUnit = Math.floor(offset / UNIT_BYTES)
    const units = replica.units.slice(firstUnit, Math.ceil((offset + length) / UNIT_BYTES))
    return { response: { blockBytes: replica.sizeBytes, hash: replica.hash, firstUnit }, units }
  }

  private async take(body: UnitStream): Promise<Unit[]> {
    const units: Unit[] = []
    for await (const unit of body) {
      units.push({ bytes: Uint8Array.from(unit.bytes), check: unit.check })
      this.unitsTaken++
      while (this.hangs) await this.pause(10)
    }
    return units
  }

  private async *give(units: readonly Unit[]): AsyncGenerator<Unit> {
    for (const [index, unit] of units.entries()) {
      if (index === this.breakAfterUnits) throw new CairnError('DriveFailed', 'as the test wants it')
      yield unit
    }
  }

  private async before(signal: AbortSignal): Promise<void> {
    if (this.delayMs > 0) await this.pause(this.delayMs)
    while (this.hangs && !signal.aborted) await this.pause(10)
  }

  private pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(delayMs, resolve))
  }
}
