/** How calls end early: deadline, cancel, loss, shutdown, as every `Network` promises it. */
import { expect } from 'chai'
import { type ErrorCode, UNIT_BYTES, type Unit } from '../../src/index.js'
import {
  codeOf,
  collect,
  endless,
  errorOf,
  gate,
  type NetworkFixture,
  never,
  said,
  unit,
  WatchedSource,
} from './network-fixture.js'

/** Long enough for a call to reach its handler on a machine that is busy with other things. */
const DEADLINE_MS = 1000

export function describeEndings(fixture: NetworkFixture): void {
  const { check, call, serve } = fixture

  describe('deadline and cancel', () => {
    check('rejects after the deadline, and aborts the handler', async () => {
      const reason = gate<unknown>()
      fixture.handler = (_request, incoming) => {
        incoming.signal.addEventListener('abort', () => reason.open(incoming.signal.reason))
        return never
      }
      expect(await codeOf(call({ deadlineMs: DEADLINE_MS }))).to.equal('DeadlineExceeded')
      expect(await reason.passed)
        .to.have.property('code')
        .that.is.oneOf(['DeadlineExceeded', 'Cancelled'])
      fixture.handler = async () => ({ response: said })
      expect((await call()).response).to.deep.equal(said)
    })

    check('rejects when a body stands still for the deadline', async () => {
      async function* source(): AsyncGenerator<Unit> {
        yield unit(10, 1)
        await never
      }
      fixture.handler = async () => ({ response: said, body: source() })
      const { body } = await call({ deadlineMs: DEADLINE_MS })
      expect(await codeOf(collect(body))).to.equal('DeadlineExceeded')
    })

    check("cancels by the caller's signal, and aborts the handler", async () => {
      const started = gate<void>()
      const reason = gate<unknown>()
      fixture.handler = (_request, incoming) => {
        incoming.signal.addEventListener('abort', () => reason.open(incoming.signal.reason))
        started.open(undefined)
        return never
      }
      const controller = new AbortController()
      const code = codeOf(call({ signal: controller.signal }))
      await started.passed
      controller.abort()
      expect(await code).to.equal('Cancelled')
      expect(await reason.passed).to.have.property('code', 'Cancelled')
    })

    check('cancels a reply body under way', async () => {
      const source = new WatchedSource(endless(10))
      fixture.handler = async () => ({ response: said, body: source })
      const controller = new AbortController()
      const { body } = await call({ signal: controller.signal })
      const code = codeOf(
        (async () => {
          for await (const _ of body) controller.abort()
        })(),
      )
      expect(await code).to.equal('Cancelled')
      await source.left
    })

    check('does not begin a call that is cancelled or out of time already', async () => {
      let count = 0
      fixture.handler = async () => {
        count++
        return { response: said }
      }
      expect(await codeOf(call({ signal: AbortSignal.abort() }))).to.equal('Cancelled')
      expect(await codeOf(call({ deadlineMs: 0 }))).to.equal('DeadlineExceeded')
      await call()
      expect(count).to.equal(1)
    })
  })

  describe('loss of the connection', () => {
    check('rejects open calls and bodies of the caller', async () => {
      const started = gate<void>()
      fixture.handler = async (request) => {
        if (request.word === 'body') return { response: said, body: new WatchedSource(endless(UNIT_BYTES)) }
        started.open(undefined)
        return never
      }
      const { body } = await call({}, 'body')
      const waiting = errorOf(call())
      await started.passed
      await fixture.listener.close(0)
      const lost = await waiting
      expect(lost?.code).to.equal('ConnectionLost')
      expect(lost?.details).not.to.have.property('connected')
      expect(await codeOf(collect(body))).to.equal('ConnectionLost')
    })

    check("rejects the handler's body and aborts its signal", async () => {
      const started = gate<void>()
      const seen = gate<ErrorCode | 'none'>()
      const reason = gate<unknown>()
      fixture.handler = async (_request, incoming) => {
        incoming.signal.addEventListener('abort', () => reason.open(incoming.signal.reason))
        started.open(undefined)
        seen.open(await codeOf(collect(incoming.body)))
        return { response: said }
      }
      const code = codeOf(call({ body: new WatchedSource(endless(UNIT_BYTES)) }))
      await started.passed
      await fixture.peer.close()
      expect(await code).to.equal('ConnectionLost')
      expect(await seen.passed).to.equal('ConnectionLost')
      expect(await reason.passed).to.have.property('code', 'ConnectionLost')
    })

    check('connects again with the next call', async () => {
      const started = gate<void>()
      fixture.handler = () => {
        started.open(undefined)
        return never
      }
      const code = codeOf(call())
      await started.passed
      await fixture.listener.close(0)
      expect(await code).to.equal('ConnectionLost')
      fixture.handler = async () => ({ response: said })
      fixture.listener = await serve(fixture.address)
      expect((await call()).response).to.deep.equal(said)
    })

    check('says so when a call was never sent', async () => {
      await fixture.listener.close(0)
      const source = new WatchedSource(endless(10))
      const first = await errorOf(call({ body: source }))
      expect(first?.code).to.equal('ConnectionLost')
      expect(first?.details).to.deep.equal({ connected: 'false' })
      await source.left
      const second = await errorOf(call())
      expect(second?.code).to.equal('ConnectionLost')
      expect(second?.details).to.deep.equal({ connected: 'false' })
    })

    check('refuses calls once the peer is closed', async () => {
      await call()
      await fixture.peer.close()
      expect((await errorOf(call()))?.details).to.deep.equal({ connected: 'false' })
    })
  })

  describe('closing a listener', () => {
    check('lets running calls finish and refuses new ones', async () => {
      const started = gate<void>()
      const go = gate<void>()
      fixture.handler = async () => {
        started.open(undefined)
        await go.passed
        return { response: said }
      }
      const running = call()
      await started.passed
      const closed = fixture.listener.close(60_000)
      expect(await codeOf(call())).to.equal('ShuttingDown')
      go.open(undefined)
      expect((await running).response).to.deep.equal(said)
      await closed
      expect(await codeOf(call())).to.equal('ConnectionLost')
    })

    check('cuts what has not finished in time', async () => {
      const started = gate<void>()
      fixture.handler = () => {
        started.open(undefined)
        return never
      }
      const code = codeOf(call())
      await started.passed
      await fixture.listener.close(20)
      expect(await code).to.equal('ConnectionLost')
    })

    check('refuses an address in use', async () => {
      expect(await codeOf(serve(fixture.address))).to.equal('InvalidArgument')
    })
  })
}
