/** What every `Network` promises, whatever carries it. */
import { expect } from 'chai'
import {
  bytes,
  CALLS_PER_CONNECTION_MAX,
  CairnError,
  type CallOptions,
  createRouter,
  ERROR_CODES,
  type ErrorCode,
  type HandshakeIdentity,
  type IncomingCall,
  integer,
  MESSAGE_BYTES_MAX,
  type Message,
  message,
  type Network,
  type RpcAnswer,
  type RpcListener,
  type RpcMethod,
  type RpcPeer,
  type RpcReply,
  required,
  STREAM_CREDIT_BYTES,
  text,
  UNIT_BYTES,
  type Unit,
  type UnitSource,
} from '../../src/index.js'

/** One network under test, and what it needs to move. */
export interface NetworkWorld {
  readonly network: Network
  /** Where to listen. */
  readonly address: string
  /** Errors that the network reported, with their place. */
  readonly reported: { error: unknown; where: string }[]
  /** Waits for a promise while the world goes on. */
  until<T>(promise: Promise<T>): Promise<T>
}

interface Ask {
  readonly word: string
  readonly data: Uint8Array
}
const Ask: Message<Ask> = message<Ask>('Ask', 1, { word: required(1, text), data: required(2, bytes()) })
interface Say {
  readonly word: string
  readonly count: number
}
const Say: Message<Say> = message<Say>('Say', 1, { word: required(1, text), count: required(2, integer) })

const talk: RpcMethod<Ask, Say> = { number: 1, name: 'talk', request: Ask, response: Say }
const unknownMethod: RpcMethod<Ask, Say> = { number: 77, name: 'unknown', request: Ask, response: Say }

const server: HandshakeIdentity = {
  role: 'chunk',
  name: 'server-1',
  clusterId: 'c1',
  featureLevel: 1,
  clusterSecret: Buffer.alloc(32, 5),
}
const client: HandshakeIdentity = { ...server, role: 'gateway', name: 'client-1' }

type Handler = (request: Ask, call: IncomingCall) => Promise<RpcAnswer<Say>>

const said: Say = { word: 'said', count: 0 }
const never: Promise<never> = new Promise(() => undefined)

/** A promise to be settled from outside. */
function gate<T>(): { readonly open: (value: T) => void; readonly passed: Promise<T> } {
  let open: (value: T) => void = () => undefined
  const passed = new Promise<T>((resolve) => {
    open = resolve
  })
  return { open, passed }
}

function unit(size: number, check: number): Unit {
  return { bytes: Buffer.alloc(size, check & 0xff), check }
}

async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | 'none'> {
  return (await errorOf(promise))?.code ?? 'none'
}

async function errorOf(promise: Promise<unknown>): Promise<CairnError | undefined> {
  try {
    await promise
  } catch (error) {
    if (error instanceof CairnError) return error
    throw error
  }
  return undefined
}

async function collect(body: UnitSource): Promise<Unit[]> {
  const units: Unit[] = []
  for await (const received of body) units.push({ bytes: Buffer.from(received.bytes), check: received.check })
  return units
}

/** Counts what is taken from it, and notices when it is left. */
class WatchedSource implements AsyncIterable<Unit> {
  takenCount = 0
  readonly left: Promise<void>
  private readonly leave: () => void
  private readonly sizes: Iterator<number>

  constructor(sizes: Iterable<number>) {
    this.sizes = sizes[Symbol.iterator]()
    const leaving = gate<void>()
    this.left = leaving.passed
    this.leave = () => leaving.open(undefined)
  }

  [Symbol.asyncIterator](): AsyncIterator<Unit> {
    return {
      next: async () => {
        const size = this.sizes.next()
        if (size.done === true) return { value: undefined, done: true }
        this.takenCount++
        return { value: unit(size.value, this.takenCount), done: false }
      },
      return: async () => {
        this.leave()
        return { value: undefined, done: true }
      },
    }
  }
}

function* endless(size: number): Generator<number> {
  for (;;) yield size
}

export function describeNetwork(name: string, createWorld: () => NetworkWorld): void {
  describe(`${name} (Network)`, () => {
    let world: NetworkWorld
    let listener: RpcListener
    let peer: RpcPeer
    let handler: Handler
    let address: string

    async function serve(at: string): Promise<RpcListener> {
      const router = createRouter()
      router.handle(talk, (request, call) => handler(request, call))
      return world.network.listen(at, router, server)
    }

    function call(options: Partial<CallOptions> = {}, word = 'hello'): Promise<RpcReply<Say>> {
      return peer.call(talk, { word, data: Buffer.alloc(0) }, { deadlineMs: 10_000, ...options })
    }

    function check(sentence: string, body: () => Promise<void>): void {
      it(sentence, () => world.until(body()))
    }

    beforeEach(async () => {
      world = createWorld()
      handler = async (request) => ({ response: { word: request.word, count: request.data.length } })
      listener = await world.until(serve(world.address))
      address = listener.address
      peer = world.network.connect(address, client)
    })

    afterEach(async () => {
      await world.until(peer.close())
      await world.until(listener.close(0))
    })

    describe('calls', () => {
      check('answers a call', async () => {
        const request = { word: 'grüße', data: Buffer.alloc(70_000, 1) }
        const { response, body } = await peer.call(talk, request, { deadlineMs: 1000 })
        expect(response).to.deep.equal({ word: 'grüße', count: 70_000 })
        expect(await collect(body)).to.deep.equal([])
      })

      check('tells the handler who calls', async () => {
        handler = async (_request, incoming) => ({ response: { word: incoming.peer.name, count: 0 } })
        expect((await call()).response.word).to.equal('client-1')
      })

      check('keeps many calls apart, answered in any order', async () => {
        const waiting: (() => void)[] = []
        handler = async (request) => {
          const turn = gate<void>()
          waiting.push(() => turn.open(undefined))
          if (waiting.length === 500) for (const open of waiting.reverse()) open()
          await turn.passed
          return { response: { word: request.word, count: 1 } }
        }
        const words = Array.from({ length: 500 }, (_, index) => `word ${index}`)
        const replies = await Promise.all(words.map((word) => call({}, word)))
        expect(replies.map((reply) => reply.response.word)).to.deep.equal(words)
      })

      check('refuses calls above the limit of one connection as Busy', async () => {
        handler = () => never
        const codes = Array.from({ length: CALLS_PER_CONNECTION_MAX }, () => codeOf(call()))
        const refused = await errorOf(call())
        expect(refused?.code).to.equal('Busy')
        expect(refused?.details).to.deep.equal({ connected: 'false' })
        await peer.close()
        expect(new Set(await Promise.all(codes))).to.deep.equal(new Set(['ConnectionLost']))
      })

      check('refuses a message above its limit on either side', async () => {
        const data = Buffer.alloc(MESSAGE_BYTES_MAX)
        expect(await codeOf(peer.call(talk, { word: '', data }, { deadlineMs: 1000 }))).to.equal(
          'MessageTooLarge',
        )
        handler = async () => ({ response: { word: 'x'.repeat(MESSAGE_BYTES_MAX), count: 0 } })
        expect(await codeOf(call())).to.equal('MessageTooLarge')
      })

      check('carries a message close to its limit', async () => {
        const word = 'x'.repeat(MESSAGE_BYTES_MAX - 100)
        expect((await call({}, word)).response.word).to.equal(word)
      })

      check('refuses an unknown method', async () => {
        const asked = peer.call(unknownMethod, { word: '', data: Buffer.alloc(0) }, { deadlineMs: 1000 })
        expect(await codeOf(asked)).to.equal('NoSuchMethod')
      })
    })

    describe('errors', () => {
      check('carries every error code with its text and details', async () => {
        for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
          if (code === 'Internal') continue
          handler = async () => {
            throw new CairnError(code, `about ${code}`, { details: { place: 'here' } })
          }
          const error = await errorOf(call())
          expect(error).to.include({ code, message: `about ${code}` })
          expect(error?.details).to.deep.equal({ place: 'here' })
        }
        expect(world.reported).to.deep.equal([])
      })

      check('keeps the text of an internal error at home', async () => {
        const secret = new TypeError('the password is swordfish')
        handler = async () => {
          throw secret
        }
        const error = await errorOf(call())
        expect(error?.code).to.equal('Internal')
        expect(error?.message).not.to.include('swordfish')
        expect(world.reported).to.deep.equal([{ error: secret, where: 'talk' }])
      })

      check('turns a handler that throws at once into an error as well', async () => {
        handler = () => {
          throw new CairnError('NoSuchKey', 'at once')
        }
        expect(await codeOf(call())).to.equal('NoSuchKey')
      })
    })

    describe('bodies', () => {
      const sizes = [0, 1, 1023, 1024, 1025, UNIT_BYTES, 5, UNIT_BYTES, 0]
      const units = sizes.map((size, index) => unit(size, 0xf000_0000 + index))

      check('keeps borders, order and check words of a request body', async () => {
        let received: Unit[] = []
        handler = async (_request, incoming) => {
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
          handler = async () => ({ response: said, body })
          expect(await collect((await call()).body)).to.deep.equal(units)
        }
      })

      check('ends an empty body at once', async () => {
        handler = async (_request, incoming) => {
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
        handler = async (_request, incoming) => ({ response: said, body: incoming.body })
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

      check('moves thousands of tiny units', async () => {
        handler = async (_request, incoming) => {
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
        handler = async (request, incoming) => {
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
        handler = async (request) =>
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
        handler = async (_request, incoming) => {
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
        handler = async () => ({ response: said })
        expect((await call({ body: source })).response).to.deep.equal(said)
        await source.left
      })

      check("leaves the caller's source when the handler fails", async () => {
        const source = new WatchedSource(endless(UNIT_BYTES))
        handler = async (_request, incoming) => {
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
        handler = async () => ({ response: said, body: source() })
        expect(await codeOf(collect((await call()).body))).to.equal('BlockCorrupt')
      })

      check("fails the call with its own source's error, and the handler's body too", async () => {
        const seen = gate<ErrorCode | 'none'>()
        handler = async (_request, incoming) => {
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
        handler = async (_request, incoming) => {
          await collect(incoming.body)
          return { response: said }
        }
        expect(await codeOf(call({ body: [unit(UNIT_BYTES + 1, 1)] }))).to.equal('InvalidArgument')
      })
    })

    describe('deadline and cancel', () => {
      check('rejects after the deadline, and aborts the handler', async () => {
        const reason = gate<unknown>()
        handler = (_request, incoming) => {
          incoming.signal.addEventListener('abort', () => reason.open(incoming.signal.reason))
          return never
        }
        expect(await codeOf(call({ deadlineMs: 30 }))).to.equal('DeadlineExceeded')
        expect(await reason.passed)
          .to.have.property('code')
          .that.is.oneOf(['DeadlineExceeded', 'Cancelled'])
        handler = async () => ({ response: said })
        expect((await call()).response).to.deep.equal(said)
      })

      check('rejects when a body stands still for the deadline', async () => {
        async function* source(): AsyncGenerator<Unit> {
          yield unit(10, 1)
          await never
        }
        handler = async () => ({ response: said, body: source() })
        const { body } = await call({ deadlineMs: 30 })
        expect(await codeOf(collect(body))).to.equal('DeadlineExceeded')
      })

      check("cancels by the caller's signal, and aborts the handler", async () => {
        const started = gate<void>()
        const reason = gate<unknown>()
        handler = (_request, incoming) => {
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
        handler = async () => ({ response: said, body: source })
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
        handler = async () => {
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
        handler = async (request) => {
          if (request.word === 'body') return { response: said, body: new WatchedSource(endless(UNIT_BYTES)) }
          started.open(undefined)
          return never
        }
        const { body } = await call({}, 'body')
        const waiting = errorOf(call())
        await started.passed
        await listener.close(0)
        const lost = await waiting
        expect(lost?.code).to.equal('ConnectionLost')
        expect(lost?.details).not.to.have.property('connected')
        expect(await codeOf(collect(body))).to.equal('ConnectionLost')
      })

      check("rejects the handler's body and aborts its signal", async () => {
        const started = gate<void>()
        const seen = gate<ErrorCode | 'none'>()
        const reason = gate<unknown>()
        handler = async (_request, incoming) => {
          incoming.signal.addEventListener('abort', () => reason.open(incoming.signal.reason))
          started.open(undefined)
          seen.open(await codeOf(collect(incoming.body)))
          return { response: said }
        }
        const code = codeOf(call({ body: new WatchedSource(endless(UNIT_BYTES)) }))
        await started.passed
        await peer.close()
        expect(await code).to.equal('ConnectionLost')
        expect(await seen.passed).to.equal('ConnectionLost')
        expect(await reason.passed).to.have.property('code', 'ConnectionLost')
      })

      check('connects again with the next call', async () => {
        const started = gate<void>()
        handler = () => {
          started.open(undefined)
          return never
        }
        const code = codeOf(call())
        await started.passed
        await listener.close(0)
        expect(await code).to.equal('ConnectionLost')
        handler = async () => ({ response: said })
        listener = await serve(address)
        expect((await call()).response).to.deep.equal(said)
      })

      check('says so when a call was never sent', async () => {
        await listener.close(0)
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
        await peer.close()
        expect((await errorOf(call()))?.details).to.deep.equal({ connected: 'false' })
      })
    })

    describe('closing a listener', () => {
      check('lets running calls finish and refuses new ones', async () => {
        const started = gate<void>()
        const go = gate<void>()
        handler = async () => {
          started.open(undefined)
          await go.passed
          return { response: said }
        }
        const running = call()
        await started.passed
        const closed = listener.close(60_000)
        expect(await codeOf(call())).to.equal('ShuttingDown')
        go.open(undefined)
        expect((await running).response).to.deep.equal(said)
        await closed
        expect(await codeOf(call())).to.equal('ConnectionLost')
      })

      check('cuts what has not finished in time', async () => {
        const started = gate<void>()
        handler = () => {
          started.open(undefined)
          return never
        }
        const code = codeOf(call())
        await started.passed
        await listener.close(20)
        expect(await code).to.equal('ConnectionLost')
      })

      check('refuses an address in use', async () => {
        expect(await codeOf(serve(address))).to.equal('InvalidArgument')
      })
    })

    describe('handshake', () => {
      async function rejection(identity: HandshakeIdentity): Promise<CairnError | undefined> {
        const stranger = world.network.connect(address, identity)
        const error = await errorOf(
          stranger.call(talk, { word: '', data: Buffer.alloc(0) }, { deadlineMs: 10_000 }),
        )
        await stranger.close()
        return error
      }

      check('rejects a wrong secret, no secret and another cluster', async () => {
        let count = 0
        handler = async () => {
          count++
          return { response: said }
        }
        for (const wrong of [
          { ...client, clusterSecret: Buffer.alloc(32, 6) },
          { ...client, clusterSecret: Buffer.alloc(0) },
          { ...client, clusterId: 'c2' },
        ]) {
          const error = await rejection(wrong)
          expect(error?.code).to.equal('PeerRejected')
          expect(error?.details).to.deep.equal({ connected: 'false' })
        }
        expect(count).to.equal(0)
      })

      check('takes a peer that does not know its cluster yet', async () => {
        expect(await rejection({ ...client, clusterId: '' })).to.equal(undefined)
      })

      check('refuses to listen without a secret', async () => {
        const nobody = { ...server, clusterSecret: Buffer.alloc(0) }
        expect(await codeOf(world.network.listen(world.address, createRouter(), nobody))).to.equal(
          'PeerRejected',
        )
      })
    })
  })
}
