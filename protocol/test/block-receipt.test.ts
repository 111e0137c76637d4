import { expect } from 'chai'
import {
  type BlockId,
  type BlockOwner,
  isReceiptOf,
  type OpId,
  type ReceiptClaim,
  ReceiptMint,
  readReceipt,
  type SpaceId,
  type TokenKey,
  TokenMint,
} from '../src/index.js'
import { createSeededRandom, createSimulatedClock } from '../src/simulation/index.js'
import { expectedReceipt } from './receipt-oracle.js'

const HOUR_MS = 3_600_000

describe('block receipts', () => {
  const random = createSeededRandom(21)
  const drive = '00112233445566ff'
  let clock: ReturnType<typeof createSimulatedClock>
  let key: TokenKey
  let mint: ReceiptMint
  let claim: ReceiptClaim

  const owner: BlockOwner = {
    space: random.bytes(8) as SpaceId,
    bucket: 'b',
    key: 'k',
    map: random.bytes(16) as OpId,
  }
  const newKey = (id: number, fromMs = 0): TokenKey => ({ id, secret: random.bytes(32), fromMs })

  /** Of a mint that has a key. */
  function receipt(of: ReceiptClaim = claim, place = { drive, epoch: 7 }): Uint8Array {
    const made = mint.receiptOf(of, place)
    if (made === undefined) throw new Error('the mint has no key')
    return made
  }

  beforeEach(() => {
    clock = createSimulatedClock(random)
    key = newKey(3)
    mint = new ReceiptMint(clock)
    mint.learn({ required: false, keys: [key] })
    const block = random.bytes(16) as BlockId
    claim = { pool: 1, block, sizeBytes: 70_000, hash: random.bytes(32), owner }
  })

  it('are as described, and say where and when the block was stored', () => {
    const place = { drive, epoch: 2 ** 40 + 5 }
    expect(Buffer.from(receipt(claim, place))).to.deep.equal(expectedReceipt(claim, place, key))
    expect(readReceipt(receipt(claim, place))).to.deep.equal({ key: 3, ...place })
    expect(isReceiptOf(receipt(), claim, key.secret)).to.equal(true)
  })

  it('are good for no other block, length, bytes, pool or owner, and by no other key', () => {
    const others: ReceiptClaim[] = [
      { ...claim, block: random.bytes(16) as BlockId },
      { ...claim, sizeBytes: 69_999 },
      { ...claim, hash: random.bytes(32) },
      { ...claim, pool: 2 },
      { ...claim, owner: { ...owner, key: 'l' } },
      { ...claim, owner: { ...owner, bucket: 'c' } },
      { ...claim, owner: { ...owner, space: random.bytes(8) as SpaceId } },
      { ...claim, owner: { ...owner, map: random.bytes(16) as OpId } },
    ]
    for (const other of others) {
      expect(isReceiptOf(receipt(), other, key.secret)).to.equal(false)
      expect(isReceiptOf(receipt(other), claim, key.secret)).to.equal(false)
    }
    expect(isReceiptOf(receipt(), claim, newKey(3).secret)).to.equal(false)
  })

  it('are worth nothing when any byte is changed, cut off or added', () => {
    const good = receipt()
    for (let at = 0; at < good.length; at++) {
      const bad = Uint8Array.from(good)
      bad[at] = (bad[at] ?? 0) ^ 1
      const head = readReceipt(bad)
      expect(head !== undefined && isReceiptOf(bad, claim, key.secret), `byte ${at}`).to.equal(false)
      expect(isReceiptOf(good.subarray(0, at), claim, key.secret)).to.equal(false)
    }
    expect(isReceiptOf(Buffer.concat([good, Buffer.alloc(1)]), claim, key.secret)).to.equal(false)
    for (const junk of [Buffer.alloc(0), Buffer.alloc(43, 1), Buffer.alloc(60, 2)]) {
      expect(readReceipt(junk)).to.equal(undefined)
    }
  })

  it('do not pass for tokens made with the same key, nor tokens for them', () => {
    const tokens = new TokenMint(clock)
    tokens.learn({ required: true, keys: [key] })
    const token = tokens.tokenOf({ method: 201, group: 5 }) ?? Buffer.alloc(0)
    expect(isReceiptOf(token, claim, key.secret)).to.equal(false)
    expect(receipt().subarray(11, 43)).to.not.deep.equal(token.subarray(13))
  })

  it('are made with the key in use, and not without one', () => {
    const nowMs = clock.wallMicros() / 1000
    const next = newKey(4, nowMs + HOUR_MS)
    mint.learn({ required: false, keys: [key, next] })
    expect(readReceipt(receipt())?.key).to.equal(3)
    mint.learn({ required: false, keys: [key, { ...next, fromMs: nowMs }] })
    expect(readReceipt(receipt())?.key).to.equal(4)
    expect(new ReceiptMint(clock).receiptOf(claim, { drive, epoch: 1 })).to.equal(undefined)
  })
})
