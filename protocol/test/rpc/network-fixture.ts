/** What the tests of every `Network` share: messages, a server, and sources that watch what is taken from them. */
import {
  bytes,
  CairnError,
  type CallOptions,
  createRouter,
  type ErrorCode,
  type HandshakeIdentity,
  type IncomingCall,
  integer,
  type Message,
  message,
  type Network,
  type RpcAnswer,
  type RpcListener,
  type RpcMethod,
  type RpcPeer,
  type RpcReply,
  required,
  text,
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

export interface Ask {
  readonly word: string
  readonly data: Uint8Array
}
export const Ask: Message<Ask> = message<Ask>('Ask', 1, {
  word: required(1, text),
  data: required(2, bytes()),
})
export interface Say {
  readonly word: string
  readonly count: number
}
export const Say: Message<Say> = message<Say>('Say', 1, {
  word: required(1, text),
  count: required(2, integer),
})

export const talk: RpcMethod<Ask, Say> = {
  number: 1,
  name: 'talk',
  request: Ask,
  response: Say,
  callers: ['gateway'],
}
export const unknownMethod: RpcMethod<Ask, Say> = {
  number: 77,
  name: 'unknown',
  request: Ask,
  response: Say,
  callers: ['gateway'],
}

export const server: HandshakeIdentity = {
  role: 'chunk',
  name: 'server-1',
  clusterId: 'c1',
  featureLevel: 1,
  clusterSecret: Buffer.alloc(32, 5),
}
export const client: HandshakeIdentity = { ...server, role: 'gateway', name: 'client-1' }

export type Handler = (request: Ask, call: IncomingCall) => Promise<RpcAnswer<Say>>

export const said: Say = { word: 'said', count: 0 }
export const never: Promise<never> = new Promise(() => undefined)

/** A promise to be settled from outside. */
export function gate<T>(): { readonly open: (value: T) => void; readonly passed: Promise<T> } {
  let open: (value: T) => void = () => undefined
  const passed = new Promise<T>((resolve) => {
    open = resolve
  })
  return { open, passed }
}

export function unit(size: number, check: number): Unit {
  return { bytes: Buffer.alloc(size, check & 0xff), check }
}

export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | 'none'> {
  return (await errorOf(promise))?.code ?? 'none'
}

export async function errorOf(promise: Promise<unknown>): Promise<CairnError | undefined> {
  try {
    await promise
  } catch (error) {
    if (error instanceof CairnError) return error
    throw error
  }
  return undefined
}

export async function collect(body: UnitSource): Promise<Unit[]> {
  const units: Unit[] = []
  for await (const received of body) units.push({ bytes: Buffer.from(received.bytes), check: received.check })
  return units
}

/** Counts what is taken from it, and notices when it is left. */
export class WatchedSource implements AsyncIterable<Unit> {
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

export function* endless(size: number): Generator<number> {
  for (;;) yield size
}

/** A server, and a peer connected to it, made anew for each test. */
export interface NetworkFixture {
  world: NetworkWorld
  listener: RpcListener
  peer: RpcPeer
  /** Real address of the listener. */
  address: string
  /** Answers `talk`. */
  handler: Handler
  /** Serves `talk` by `handler`. */
  serve(at: string): Promise<RpcListener>
  /** Calls `talk`, with a long deadline unless given another. */
  call(options?: Partial<CallOptions>, word?: string): Promise<RpcReply<Say>>
  /** A mocha test whose body runs while the world goes on. */
  check(sentence: string, body: () => Promise<void>): void
}

const echo: Handler = async (request) => ({ response: { word: request.word, count: request.data.length } })

/** Sets up, for every test of the current `describe`, a world with a server. */
export function useNetwork(createWorld: () => NetworkWorld): NetworkFixture {
  const unset = {} as { world: NetworkWorld; listener: RpcListener; peer: RpcPeer }
  const fixture: NetworkFixture = {
    ...unset,
    address: '',
    handler: echo,
    serve(at) {
      const router = createRouter()
      router.handle(talk, (request, call) => fixture.handler(request, call))
      return fixture.world.network.listen(at, router, server)
    },
    call: (options = {}, word = 'hello') =>
      fixture.peer.call(talk, { word, data: Buffer.alloc(0) }, { deadlineMs: 10_000, ...options }),
    check(sentence, body) {
      it(sentence, () => fixture.world.until(body()))
    },
  }
  beforeEach(async () => {
    fixture.world = createWorld()
    fixture.handler = echo
    fixture.listener = await fixture.world.until(fixture.serve(fixture.world.address))
    fixture.address = fixture.listener.address
    fixture.peer = fixture.world.network.connect(fixture.address, client, 'chunk')
  })
  afterEach(async () => {
    await fixture.world.until(fixture.peer.close())
    await fixture.world.until(fixture.listener.close(0))
  })
  return fixture
}
