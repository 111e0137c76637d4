/** Blocks as tests make and read them. */
import {
  type BlockId,
  type BlockOwner,
  CairnError,
  type ErrorCode,
  type OpId,
  type SessionId,
  type SpaceId,
  sessionScopedId,
  UNIT_BYTES,
  type Unit,
  unitCheck,
} from '@cairn/protocol'
import { expect } from 'chai'
import type { BlockStore } from '../../src/ports.js'

const never = new AbortController().signal

/** Block `counter` of session `session`. */
export function blockId(session: number, counter: number): BlockId {
  const id = Buffer.alloc(8)
  id.writeUInt32BE(session, 0)
  return sessionScopedId<BlockId>(id as Uint8Array as SessionId, counter)
}

export function ownerOf(key: string): BlockOwner {
  const space = Buffer.alloc(8, 7) as Uint8Array as SpaceId
  return { space, bucket: 'bucket', key, map: Buffer.alloc(16, 9) as Uint8Array as OpId }
}

/** `body` cut into units with their checks. */
export function unitsOf(block: BlockId, body: Uint8Array): Unit[] {
  const units: Unit[] = []
  for (let at = 0; at < body.length; at += UNIT_BYTES) {
    const bytes = body.subarray(at, at + UNIT_BYTES)
    units.push({ bytes, check: unitCheck(block, units.length, bytes) })
  }
  return units
}

/** The code a promise rejects with; fails if it resolves. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | string> {
  try {
    await promise
  } catch (error) {
    return error instanceof CairnError ? error.code : String(error)
  }
  throw new Error('it did not reject')
}

/** The bytes of a range, checked as a reader would. */
export async function readRange(
  store: BlockStore,
  block: BlockId,
  range: { offset: number; length: number },
): Promise<Buffer> {
  const open = await store.get(block, range, { signal: never })
  const parts: Uint8Array[] = []
  let index = open.firstUnit
  for await (const unit of open.units) {
    expect(unit.check).to.equal(unitCheck(block, index++, unit.bytes))
    parts.push(Buffer.from(unit.bytes))
  }
  const skipped = range.offset - open.firstUnit * UNIT_BYTES
  return Buffer.concat(parts).subarray(skipped, skipped + range.length)
}
