/**
 * Puts of blocks of one unit that their writer, in this process, hands over as they are. He gives the same block to
 * each drive in the same turn: what a record of it holds on any drive is prepared by the first.
 */
import {
  type BlockId,
  BlockOwner,
  CairnError,
  crc32c,
  hashBlock,
  mapKey,
  UNIT_BYTES,
  type Unit,
} from '@cairn/protocol'
import type { StoredBlock } from '../../ports.js'
import type { BlockItem, Placement } from '../segments/group-commit.js'
import { blockRecordBytes, OWNER_BYTES_MAX } from '../segments/record.js'
import { verifyUnit } from './unit-intake.js'

/** A block as every drive stores it. */
export interface PreparedBlock extends StoredBlock {
  readonly block: BlockId
  readonly key: string
  readonly owner: Uint8Array
  readonly ownerCheck: number
  readonly units: readonly [Unit]
  readonly checks: readonly [number]
  readonly recordBytes: number
}

let preparedLast: { readonly given: BlockOwner; readonly prepared: PreparedBlock } | undefined

/** Verifies and prepares a block. `BlockCorrupt`, or `InvalidArgument` for sizes that no block of one unit has. */
export function prepareBlock(block: BlockId, given: BlockOwner, unit: Unit): PreparedBlock {
  const last = preparedLast
  if (last?.prepared.units[0] === unit && last.prepared.block === block && last.given === given) {
    return last.prepared
  }
  const sizeBytes = unit.bytes.length
  const owner = BlockOwner.encode(given)
  if (sizeBytes === 0 || sizeBytes > UNIT_BYTES || owner.length > OWNER_BYTES_MAX) {
    throw new CairnError('InvalidArgument', 'a unit or an owner has the wrong size')
  }
  verifyUnit(block, 0, unit)
  const prepared: PreparedBlock = {
    block,
    key: mapKey(block),
    owner,
    ownerCheck: crc32c(owner),
    units: [unit],
    checks: [unit.check],
    sizeBytes,
    hash: unit.blockHash ?? hashBlock(unit.bytes),
    recordBytes: blockRecordBytes(owner.length, sizeBytes),
  }
  preparedLast = { given, prepared }
  return prepared
}

/** One put under way on one drive: its record in the log, and what others wait for who put the same block. */
export class HandedPut implements BlockItem {
  readonly kind = 'block'
  readonly block: BlockId
  readonly key: string
  readonly owner: Uint8Array
  readonly ownerBytes: number
  readonly ownerCheck: number
  readonly units: readonly Unit[]
  readonly checks: readonly number[]
  readonly sizeBytes: number
  readonly hash: Uint8Array
  readonly storedAtMs: number
  readonly recordBytes: number
  private readonly onSettled: (put: HandedPut, outcome: Placement | CairnError) => void
  private readonly tell: (outcome: StoredBlock | CairnError) => void
  private waiting: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  constructor(
    prepared: PreparedBlock,
    storedAtMs: number,
    onSettled: (put: HandedPut, outcome: Placement | CairnError) => void,
    tell: (outcome: StoredBlock | CairnError) => void,
  ) {
    this.block = prepared.block
    this.key = prepared.key
    this.owner = prepared.owner
    this.ownerBytes = prepared.owner.length
    this.ownerCheck = prepared.ownerCheck
    this.units = prepared.units
    this.checks = prepared.checks
    this.sizeBytes = prepared.sizeBytes
    this.hash = prepared.hash
    this.storedAtMs = storedAtMs
    this.recordBytes = prepared.recordBytes
    this.onSettled = onSettled
    this.tell = tell
  }

  /** Resolves at its end, whatever that is. Made for those who ask. */
  get ended(): Promise<void> {
    this.waiting ??= waiting()
    return this.waiting.promise
  }

  settle(outcome: Placement | CairnError): void {
    this.onSettled(this, outcome)
    this.waiting?.resolve()
    this.tell(outcome instanceof CairnError ? outcome : this)
  }
}

function waiting(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
