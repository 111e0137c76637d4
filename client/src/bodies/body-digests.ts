import { createDigest, type Digest, digestOf, formatId } from '@cairn/protocol'
import type { DigestAlgorithm, Digests, WriteOptions } from '../api.js'
import { IDLE_PIECES_MAX, LANE_BODY_BYTES_MIN, LANE_PIECE_BYTES, LANE_PIECES_MAX } from '../limits.js'
import type { DigestLane, DigestLanes } from './digest-lanes.js'

/** MD5, which is the ETag, and whatever else was asked for. */
function algorithmsOf(wanted: readonly DigestAlgorithm[] | undefined): Set<DigestAlgorithm> {
  return new Set<DigestAlgorithm>(['MD5', ...(wanted ?? [])])
}

/** Digests of a body that is at hand. */
export function digestWhole(bytes: Uint8Array, wanted: readonly DigestAlgorithm[] = []): Digests {
  const digests: Digests = { MD5: digestOf('MD5', bytes) }
  for (const algorithm of wanted) {
    if (algorithm !== 'MD5') digests[algorithm] = digestOf(algorithm, bytes)
  }
  return digests
}

/** Digests of a body while it flows. */
export class RunningDigests {
  private readonly running: readonly (readonly [DigestAlgorithm, Digest])[]

  constructor(wanted: readonly DigestAlgorithm[] | undefined) {
    this.running = [...algorithmsOf(wanted)].map((algorithm) => [algorithm, createDigest(algorithm)] as const)
  }

  update(bytes: Uint8Array): void {
    for (const [, digest] of this.running) digest.update(bytes)
  }

  digests(): Digests {
    return Object.fromEntries(this.running.map(([algorithm, digest]) => [algorithm, digest.digest()]))
  }
}

/** Digests of the units of one body, in order. */
export interface BodyDigests {
  update(unit: Uint8Array): void
  /** False: wait for `room` before the next unit. */
  readonly hasRoom: boolean
  room(): Promise<void>
  /** To be asked for once, at the end. Rejects with `Internal` if the thread that computed them has failed. */
  digests(): Promise<Digests>
  /** Gives them up. */
  leave(): void
}

/** Long bodies, and those of unknown length, go to a lane if there are any. */
export function digestBody(lanes: DigestLanes | undefined, options: WriteOptions): BodyDigests {
  const { sizeBytes = Number.POSITIVE_INFINITY, digests } = options
  if (lanes !== undefined && sizeBytes >= LANE_BODY_BYTES_MIN) {
    return new LaneDigests(lanes.open([...algorithmsOf(digests)]))
  }
  const running = new RunningDigests(digests)
  return {
    update: (unit) => running.update(unit),
    hasRoom: true,
    room: () => Promise.resolve(),
    digests: async () => running.digests(),
    leave: () => undefined,
  }
}

/** Pieces that the next body may fill: memory that is asked of the system anew has to be found and cleared. */
const idlePieces: Uint8Array[] = []

/** Gathers the bytes in shared memory, so that few and large pieces change the thread. */
class LaneDigests implements BodyDigests {
  private readonly lane: DigestLane
  /** Pieces being filled or digested. */
  private pieceCount = 0
  private piece: Uint8Array | undefined
  private filled = 0
  private wake: (() => void) | undefined

  constructor(lane: DigestLane) {
    this.lane = lane
  }

  update(bytes: Uint8Array): void {
    if (this.piece !== undefined && this.filled + bytes.length > this.piece.length) this.flush()
    this.piece ??= this.takePiece()
    this.piece.set(bytes, this.filled)
    this.filled += bytes.length
  }

  get hasRoom(): boolean {
    return this.pieceCount < LANE_PIECES_MAX || this.piece !== undefined
  }

  async room(): Promise<void> {
    while (!this.hasRoom) {
      await new Promise<void>((resolve) => {
        this.wake = resolve
      })
    }
  }

  digests(): Promise<Digests> {
    this.flush()
    return this.lane.digests()
  }

  leave(): void {
    this.lane.leave()
  }

  private takePiece(): Uint8Array {
    this.pieceCount++
    return idlePieces.pop() ?? new Uint8Array(new SharedArrayBuffer(LANE_PIECE_BYTES))
  }

  private flush(): void {
    const { piece } = this
    if (piece === undefined) return
    this.piece = undefined
    const bytes = piece.subarray(0, this.filled)
    this.filled = 0
    const settle = (): void => {
      this.pieceCount--
      if (idlePieces.length < IDLE_PIECES_MAX) idlePieces.push(piece)
      this.wake?.()
    }
    // Of a failure the lane tells at its end.
    this.lane.update(bytes).then(settle, settle)
  }
}

/** The ETag of one body: its MD5 as hex. */
export function etagOf(digests: Digests): string {
  return digests.MD5 === undefined ? '' : formatId(digests.MD5)
}
