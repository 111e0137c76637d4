/** Bodies, as every `Network` promises them. */
import { expect } from 'chai'
import {
  CairnError,
  type ErrorCode,
  STREAM_CREDIT_BYTES,
  UNIT_BYTES,
  type Unit,
  type UnitStream,
} from '../../src/index.js'
import {
  codeOf,
  collect,
  endless,
  gate,
  type NetworkFixture,
  said,
  unit,
  WatchedSource,
} from './network-fixture.js'

export function describeBodies(fixture: NetworkFixture): void {
  const { check, call } = fixture

  describe('bodies', () => {
    const sizes = [0, 1, 1023, 1024, 1025, UNIT_BYTES, 5, UNIT_BYTES, 0]
    const units = sizes.map((size, index) => unit(size, 0xf000_0000 + index))

    check('keeps borders, order and check words of a request body', async () => {
      let received: Unit[] = []
      fixture.handler = async (_request, incoming) => {
        received = await collect(incoming.body)
        return { response: said }
      }
      for (const body of [
        units,
        (async function* () {
          yield* units
        })(),
      ]) {
        await call({ body })
        expect(received).to.deep.equal(units)
      }
    })

    check('keeps borders, order and check words of a reply body', async () => {
      for (const body of [
        units,
        (async function* () {
          yield* units
        })(),
      ]) {
        fixture.handler = async () => ({ response: said, body })
        expect(await collect((await call()).body)).to.deep.equal(units)
      }
    })

    check('ends an empty body at once', async () => {
      fixture.handler = async (_request, incoming) => {
        const count = (await collect(incoming.body)).length
        return { response: { word: '', count }, body: [] }
      }
      const { response, body } = await call({ body: [] })
      expect(response.count).to.equal(0)
      expect(await collect(body)).to.deep.equal([])
    })

    check('moves bodies far beyond the credit, both ways at once', async () => {
      const count = (8 * STREAM_CREDIT_BYTES) / UNIT_BYTES
      const many = Array.from({ length: count }, (_, index) => unit(UNIT_BYTES, index))
      fixture.handler = async (_request, incoming) => ({ response: said, body: incoming.body })
      const { body } = await call({ body: many })
      let next = 0
      for await (const received of body) {
        expect(received.check).to.equal(next)
        expect(received.bytes.length).to.equal(UNIT_BYTES)
        expect(received.bytes[0]).to.equal(next & 0xff)
        expect(received.bytes[UNIT_BYTES - 1]).to.equal(next & 0xff)
        next++
      }
      expect(next).to.equal(count)
    })

    check('keeps the order of units when credit comes while frames are being handed over', async () => {
      const many = Array.from({ length: 24 }, (_, index) => unit(UNIT_BYTES, index))
      const [begun, rest] = [gate<void>(), gate<void>()]
      const received = new Map<string, number[]>()
      fixture.handler = async ({ word }, incoming) => {
        const numbers: number[] = []
        received.set(word, numbers)
        for await (const { check: number } of incoming.body) {
          numbers.push(number)
          begun.open()
        }
        return { response: said }
      }
      const long = call({ body: inTwoParts(many, rest.passed) }, 'long')
      await begun.passed
      // What leaves with it goes in frames: these two batches end with the last unit that there is credit for.
      const other = call({ body: new Set([unit(UNIT_BYTES, 0)]) })
      rest.open()
      await Promise.all([long, other])
      expect(received.get('long')).to.deep.equal(many.map(({ check: number }) => number))
    })

    check('moves thousands of tiny units', async () => {
      fixture.handler = async (_request, incoming) => {
        let count = 0
        for await (const received of incoming.body) count += received.bytes.length
        return { response: { word: '', count } }
      }
      const tiny = Array.from({ length: 5000 }, () => unit(3, 1))
      expect((await call({ body: tiny })).response.count).to.equal(15_000)
    })

    check('lets a stalled reader hold its own stream only, at most by its credit', async () => {
      const go = gate<void>()
      const source = new WatchedSource(endless(UNIT_BYTES))
      fixture.handler = async (request, incoming) => {
        if (request.word !== 'stalled') return { response: said }
        await go.passed
        for await (const _ of incoming.body) break
        return { response: said }
      }
      const stalled = call({ body: source }, 'stalled')
      const whole = STREAM_CREDIT_BYTES / UNIT_BYTES
      while (source.takenCount < whole) await call()
      for (let round = 0; round < 20; round++) await call()
      // The credit, and one unit in the sender's hand.
      expect(source.takenCount).to.be.within(whole, whole + 1)
      go.open(undefined)
      await stalled
      await source.left
      expect(source.takenCount).to.be.at.most(whole + 3)
    })

    check('lets a stalled caller hold its own stream only, at most by its credit', async () => {
      const source = new WatchedSource(endless(UNIT_BYTES))
      fixture.handler = async (request) =>
        request.word === 'stalled' ? { response: said, body: source } : { response: said }
      const { body } = await call({}, 'stalled')
      for (let round = 0; round < 50; round++) await call()
      const whole = STREAM_CREDIT_BYTES / UNIT_BYTES
      expect(source.takenCount).to.be.within(1, whole + 1)
      for await (const _ of body) break
      await source.left
    })

    check("leaves the server's source when the caller leaves the reply body", async () => {
      const source = new WatchedSource(endless(100))
      const aborted = gate<unknown>()
      fixture.handler = async (_request, incoming) => {
        incoming.signal.addEventListener('abort', () => aborted.open(incoming.signal.reason))
        return { response: said, body: source }
      }
      for await (const received of (await call()).body) {
        expect(received.check).to.equal(1)
        break
      }
      await source.left
      expect(await aborted.passed).to.have.property('code', 'Cancelled')
    })

    check("leaves the caller's source when the answer comes before its end", async () => {
      const source = new WatchedSource(endless(UNIT_BYTES))
      fixture.handler = async () => ({ response: said })
      expect((await call({ body: source })).response).to.deep.equal(said)
      await source.left
    })

    check("leaves the caller's source when the handler fails", async () => {
      const source = new WatchedSource(endless(UNIT_BYTES))
      fixture.handler = async (_request, incoming) => {
        for await (const _ of incoming.body) break
        throw new CairnError('DriveFull', 'no room')
      }
      expect(await codeOf(call({ body: source }))).to.equal('DriveFull')
      await source.left
    })

    check('never ends a reply body cleanly when its source fails', async () => {
      async function* source(): AsyncGenerator<Unit> {
        yield unit(10, 1)
        throw new CairnError('BlockCorrupt', 'bad unit')
      }
      fixture.handler = async () => ({ response: said, body: source() })
      expect(await codeOf(collect((await call()).body))).to.equal('BlockCorrupt')
    })

    check("fails the call with its own source's error, and the handler's body too", async () => {
      const seen = gate<ErrorCode | 'none'>()
      fixture.handler = async (_request, incoming) => {
        seen.open(await codeOf(collect(incoming.body)))
        return { response: said }
      }
      async function* source(): AsyncGenerator<Unit> {
        yield unit(10, 1)
        throw new CairnError('LengthMismatch', 'the client stopped')
      }
      expect(await codeOf(call({ body: source() }))).to.equal('LengthMismatch')
      expect(await seen.passed).to.equal('Cancelled')
    })

    check('refuses to send a unit above its limit', async () => {
      fixture.handler = async (_request, incoming) => {
        await collect(incoming.body)
        return { response: said }
      }
      expect(await codeOf(call({ body: [unit(UNIT_BYTES + 1, 1)] }))).to.equal('InvalidArgument')
    })
  })
}

/** Gives one unit, and from then on all at once, when it is told to. */
function inTwoParts(units: readonly Unit[], goOn: Promise<void>): UnitStream & AsyncIterator<Unit> {
  let at = 0
  const take = (): IteratorResult<Unit> => {
    const value = units[at++]
    return value === undefined ? { value, done: true } : { value, done: false }
  }
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    poll: () => (at < 2 ? undefined : take()),
    async next() {
      if (at > 0) await goOn
      return take()
    },
  }
}
