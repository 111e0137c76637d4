import { expect } from 'chai'
import { TokenCheck, type TokenKey, type TokenKeys, TokenMint, type TokenScope } from '../src/index.js'
import { createSeededRandom, createSimulatedClock } from '../src/simulation/index.js'

const MINUTE_MS = 60_000
const scope: TokenScope = { method: 201, group: 4095 }

describe('block tokens', () => {
  const random = createSeededRandom(11)
  let clock: ReturnType<typeof createSimulatedClock>
  let mint: TokenMint
  let check: TokenCheck

  function key(id: number, fromMs = 0): TokenKey {
    return { id, secret: random.bytes(32), fromMs }
  }
  function keysOf(...keys: TokenKey[]): TokenKeys {
    return { required: true, keys }
  }
  const pass = (ms: number): Promise<void> =>
    clock.runUntil(new Promise<void>((resolve) => clock.setTimer(ms, resolve)))

  /** Of a mint that has a key. */
  function token(wanted: TokenScope = scope): Uint8Array {
    const made = mint.tokenOf(wanted)
    if (made === undefined) throw new Error('the mint has no key')
    return made
  }

  beforeEach(() => {
    clock = createSimulatedClock(random)
    mint = new TokenMint(clock)
    check = new TokenCheck(clock)
    const keys = keysOf(key(1))
    mint.learn(keys)
    check.learn(keys)
  })

  it('are good for their method and group, the first time and again', () => {
    for (let time = 0; time < 2; time++) expect(check.allows(token(), scope)).to.equal(true)
  })

  it('are the same from all mints of one key', () => {
    const keys = keysOf(key(7))
    const [one, two] = [new TokenMint(clock), new TokenMint(clock)]
    one.learn(keys)
    two.learn(keys)
    expect(one.tokenOf(scope)).to.deep.equal(two.tokenOf(scope))
  })

  it('are good for no other group and no other method', () => {
    for (const other of [
      { ...scope, group: 4094 },
      { ...scope, group: 0 },
      { ...scope, method: 202 },
    ]) {
      expect(check.allows(token(other), scope)).to.equal(false)
      expect(check.allows(token(), other)).to.equal(false)
    }
  })

  it('are no good with any one byte changed, before and after they were found good', () => {
    const good = token()
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < good.length; at++) {
        const changed = Uint8Array.from(good)
        changed[at] = (changed[at] ?? 0) ^ 1
        expect(check.allows(changed, scope), `byte ${at}`).to.equal(false)
      }
      expect(check.allows(good, scope)).to.equal(true)
    }
  })

  it('are no good shorter, longer, empty or absent', () => {
    const good = token()
    const longer = Buffer.concat([good, Buffer.alloc(1)])
    for (const wrong of [undefined, new Uint8Array(), good.subarray(1), good.subarray(0, -1), longer]) {
      expect(check.allows(wrong, scope)).to.equal(false)
    }
  })

  it('are good for five to ten minutes, known or not', async () => {
    const known = token()
    expect(check.allows(known, scope)).to.equal(true)
    const unknown = token({ ...scope, group: 1 })
    await pass(5 * MINUTE_MS)
    expect(check.allows(known, scope)).to.equal(true)
    await pass(5 * MINUTE_MS)
    expect(check.allows(known, scope)).to.equal(false)
    expect(check.allows(unknown, { ...scope, group: 1 })).to.equal(false)
    expect(check.allows(token(), scope)).to.equal(true)
  })

  it('stay when the same keys are told again, in other memory', () => {
    const secret = random.bytes(32)
    const told = (): TokenKeys => keysOf({ id: 3, secret: Uint8Array.from(secret), fromMs: 0 })
    mint.learn(told())
    const made = token()
    mint.learn(told())
    expect(token()).to.equal(made)
    check.learn(told())
    check.learn(told())
    expect(check.allows(made, scope)).to.equal(true)
  })

  it('end with their key', () => {
    const old = token()
    expect(check.allows(old, scope)).to.equal(true)
    check.learn(keysOf(key(2)))
    expect(check.allows(old, scope)).to.equal(false)
  })

  it('of two keys are both good, and a key is used from its time on', async () => {
    const nowMs = clock.wallMicros() / 1000
    const keys = keysOf(key(1), key(2, nowMs + MINUTE_MS))
    mint.learn(keys)
    check.learn(keys)
    const before = token()
    mint.learn(keys)
    await pass(2 * MINUTE_MS)
    mint.learn(keys)
    const after = token()
    expect(after).to.not.deep.equal(before)
    expect([before, after].map((made) => check.allows(made, scope))).to.deep.equal([true, true])
  })

  it('are made with the first key of a cluster from its first moment, also by a clock that is behind', () => {
    for (const aheadMs of [0, 0.5, 3_000]) {
      const keys = keysOf(key(7, clock.wallMicros() / 1000 + aheadMs))
      mint = new TokenMint(clock)
      mint.learn(keys)
      check = new TokenCheck(clock)
      check.learn(keys)
      expect(check.allows(token(), scope), `${aheadMs} ms`).to.equal(true)
    }
  })

  it('are not made without a key, and nothing is allowed before a service has said anything', () => {
    expect(new TokenMint(clock).tokenOf(scope)).to.equal(undefined)
    expect(new TokenCheck(clock).allows(token(), scope)).to.equal(false)
  })

  it('are not needed while the cluster has a lower level, and always once they were', () => {
    const fresh = new TokenCheck(clock)
    fresh.learn(undefined)
    expect(fresh.allows(undefined, scope)).to.equal(true)
    fresh.learn(keysOf(key(1)))
    expect(fresh.allows(undefined, scope)).to.equal(false)
    fresh.learn(undefined)
    fresh.learn({ required: false, keys: [] })
    expect(fresh.allows(undefined, scope)).to.equal(false)
  })
})
