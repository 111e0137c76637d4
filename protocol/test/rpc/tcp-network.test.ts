import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect } from 'chai'
import {
  bytes,
  CALLS_PER_CONNECTION_MAX,
  type CairnError,
  createNetwork,
  createRouter,
  createTcpNetwork,
  type HandshakeIdentity,
  integer,
  type Message,
  message,
  type Network,
  type RpcListener,
  type RpcMethod,
  required,
  systemClock,
  systemRandom,
  UNIT_BYTES,
} from '../../src/index.js'
import { formatAddress, parseAddress } from '../../src/rpc/address.js'
import { decodeError } from '../../src/rpc/error-message.js'
import { FRAME, type FrameHead, FrameParser, HAS_BODY, NO_CONTENT } from '../../src/rpc/frame.js'
import { createClientHandshake } from '../../src/rpc/handshake.js'
import { UNSENT_ANSWER_BYTES_MAX } from '../../src/rpc/limits.js'
import { Outbox } from '../../src/rpc/outbox.js'
import { describeNetwork, type NetworkWorld } from './network-conformance.js'

for (const address of ['127.0.0.1:0', '[::1]:0']) {
  describeNetwork(`createNetwork, ${address}`, () => {
    const reported: NetworkWorld['reported'] = []
    const network = createNetwork({
      clock: systemClock,
      random: systemRandom,
      onError: (error, where) => where === 'talk' && reported.push({ error, where }),
    })
    return { network, address, reported, until: (promise) => promise }
  })
}

interface Count {
  readonly count: number
}
const Count: Message<Count> = message<Count>('Count', 1, { count: required(1, integer) })
interface Big {
  readonly bytes: Uint8Array
}
const Big: Message<Big> = message<Big>('Big', 1, { bytes: required(1, bytes()) })
const big: RpcMethod<Count, Big> = {
  number: 7,
  name: 'big',
  request: Count,
  response: Big,
  callers: ['gateway'],
}

function send(socket: Socket, head: FrameHead, content: Uint8Array): void {
  const outbox = new Outbox()
  outbox.append(head, content)
  for (const buffer of outbox.take()) socket.write(buffer)
}

const stall: RpcMethod<Count, Count> = {
  number: 6,
  name: 'stall',
  request: Count,
  response: Count,
  callers: ['gateway'],
}
const count: RpcMethod<Count, Count> = {
  number: 5,
  name: 'count',
  request: Count,
  response: Count,
  callers: ['gateway'],
}

describe('createTcpNetwork and strangers', () => {
  const identity: HandshakeIdentity = {
    role: 'gateway',
    name: 'server-1',
    clusterId: 'c1',
    featureLevel: 1,
    clusterSecret: Buffer.alloc(32, 5),
  }
  let network: Network
  let listener: RpcListener
  let answeredCount: number

  beforeEach(async () => {
    network = createTcpNetwork({ clock: systemClock, random: systemRandom })
    answeredCount = 0
    const router = createRouter()
    router.handle(count, async (request) => {
      answeredCount++
      return { response: request }
    })
    router.handle(stall, () => new Promise(() => undefined))
    listener = await network.listen('127.0.0.1:0', router, identity)
  })
  afterEach(() => listener.close(0))

  /** Sends raw bytes and returns the error frame that came back, once the server has hung up. */
  async function provoke(buffers: readonly Uint8Array[]): Promise<CairnError | undefined> {
    const socket = connect(parseAddress(listener.address))
    let told: CairnError | undefined
    const parser = new FrameParser(
      (head, content) => {
        if (head.type === FRAME.error) told = decodeError(content)
      },
      { copies: false },
    )
    socket.on('data', (chunk) => parser.push(chunk))
    socket.on('error', () => undefined)
    for (const buffer of buffers) socket.write(buffer)
    await once(socket, 'close')
    return told
  }

  async function stillAnswers(): Promise<void> {
    const peer = network.connect(listener.address, identity, 'gateway')
    expect((await peer.call(count, { count: 3 }, { deadlineMs: 5000 })).response).to.deep.equal({ count: 3 })
    await peer.close()
  }

  it('hangs up on a call before the handshake, and runs no handler', async () => {
    const outbox = new Outbox()
    outbox.append({ type: FRAME.request, flags: 0, stream: 1, a: 5, b: 1000 }, Count.encode({ count: 1 }))
    expect((await provoke(outbox.take()))?.code).to.equal('PeerRejected')
    expect(answeredCount).to.equal(0)
    await stillAnswers()
  })

  it('hangs up on other protocols', async () => {
    expect((await provoke([Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]))?.code).to.equal('PeerRejected')
    await stillAnswers()
  })

  it('hangs up on garbage', async () => {
    for (let round = 0; round < 20; round++) await provoke([systemRandom.bytes(500)])
    expect(answeredCount).to.equal(0)
    await stillAnswers()
  })

  /** Completes a handshake, sends frames as they are, and returns what the server told before it hung up. */
  async function speak(frames: readonly { head: FrameHead; content: Uint8Array }[]): Promise<CairnError[]> {
    const socket = connect(parseAddress(listener.address))
    const told: CairnError[] = []
    const handshake = createClientHandshake(
      {
        identity,
        random: systemRandom,
        send: (type, content) => send(socket, { type, flags: 0, stream: 0, a: 0, b: 0 }, content),
      },
      'gateway',
    )
    const parser = new FrameParser(
      (head, content) => {
        if (head.type === FRAME.error) told.push(decodeError(content))
        else if (head.type <= FRAME.proof && handshake.take(head.type, content) !== undefined) {
          for (const frame of frames) send(socket, frame.head, frame.content)
        }
      },
      { copies: false },
    )
    socket.on('data', (chunk) => parser.push(chunk))
    socket.on('error', () => undefined)
    handshake.start()
    await once(socket, 'close')
    return told
  }

  const request: FrameHead = { type: FRAME.request, flags: HAS_BODY, stream: 1, a: 6, b: 60_000 }
  const hello: FrameHead = { type: FRAME.hello, flags: 0, stream: 0, a: 0, b: 0 }
  const response: FrameHead = { type: FRAME.response, flags: 0, stream: 1, a: 0, b: 0 }
  const data: FrameHead = { type: FRAME.data, flags: 0, stream: 1, a: 0, b: 0 }
  const asked = { head: request, content: Count.encode({ count: 1 }) }
  const full = { head: data, content: Buffer.alloc(UNIT_BYTES) }
  const breaches = {
    'a body beyond its credit': [asked, ...Array.from({ length: 9 }, () => full)],
    'a flood of empty units': [
      asked,
      ...Array.from({ length: 513 }, () => ({ ...full, content: NO_CONTENT })),
    ],
    'a stream used twice': [asked, asked],
    'a second handshake': [{ head: hello, content: NO_CONTENT }],
    'an answer from the asking side': [asked, { head: response, content: NO_CONTENT }],
    'a unit above its limit': [asked, { head: data, content: Buffer.alloc(UNIT_BYTES + 1) }],
  }
  for (const [breach, frames] of Object.entries(breaches)) {
    it(`hangs up on ${breach}`, async () => {
      const told = await speak(frames)
      expect(told.map((error) => error.code)).to.deep.equal(['MessageCorrupt'])
      await stillAnswers()
    })
  }

  it('refuses calls above the limit of a peer that does not count itself', async () => {
    const calls = Array.from({ length: CALLS_PER_CONNECTION_MAX + 2 }, (_, index) => ({
      ...asked,
      head: { ...request, stream: index + 1 },
    }))
    const told = await speak([...calls, asked])
    expect(told.map((error) => error.code)).to.deep.equal(['Busy', 'Busy', 'MessageCorrupt'])
  })

  it('ignores late frames of a call that is over, and answers a request that cannot be read', async () => {
    const cancel: FrameHead = { type: FRAME.cancel, flags: 0, stream: 9, a: 0, b: 0 }
    const unreadable = { head: { ...request, flags: 0, a: 5, stream: 7 }, content: Buffer.from([1, 8]) }
    const over = { head: { ...data, stream: 9 }, content: Buffer.alloc(5) }
    const told = await speak([{ head: cancel, content: NO_CONTENT }, over, unreadable, asked, asked])
    expect(told.map((error) => error.code)).to.deep.equal(['MessageCorrupt', 'MessageCorrupt'])
    expect(told[0]?.message).to.include('ends early')
  })

  it('stops reading the calls of a peer that does not read the answers', async () => {
    const answerBytes = 1024 * 1024
    const callCount = 300
    let handledCount = 0
    const router = createRouter()
    router.handle(big, async () => {
      handledCount++
      return { response: { bytes: Buffer.alloc(answerBytes) } }
    })
    const other = await network.listen('127.0.0.1:0', router, identity)
    const socket = connect(parseAddress(other.address))
    const ready = once(socket, 'ready-to-ask')
    const handshake = createClientHandshake(
      {
        identity,
        random: systemRandom,
        send: (type, content) => send(socket, { type, flags: 0, stream: 0, a: 0, b: 0 }, content),
      },
      'gateway',
    )
    let receivedCount = 0
    const parser = new FrameParser(
      (head, content) => {
        if (head.type === FRAME.response) receivedCount++
        else if (handshake.take(head.type, content) !== undefined) {
          parser.contentBytesMax = Number.POSITIVE_INFINITY
          socket.emit('ready-to-ask')
        }
        if (receivedCount === callCount) socket.destroy()
      },
      { copies: false },
    )
    socket.on('data', (chunk) => parser.push(chunk))
    handshake.start()
    await ready
    socket.pause()
    for (let stream = 1; stream <= callCount; stream++) {
      send(
        socket,
        { type: FRAME.request, flags: 0, stream, a: big.number, b: 60_000 },
        Count.encode({ count: 1 }),
      )
      // One round trip of another connection each: the server has had its turn.
      await stillAnswers()
    }
    const handledBefore = handledCount
    // What may be unsent, one answer beyond it, and what the kernel's own buffers took.
    expect(handledBefore * answerBytes).to.be.below(UNSENT_ANSWER_BYTES_MAX + 40 * answerBytes)
    socket.resume()
    await once(socket, 'close')
    expect(receivedCount).to.equal(callCount)
    await other.close(0)
  })

  it('refuses what is no address', () => {
    for (const wrong of ['', 'host', 'host:', 'host:x', 'host:99999', '::1:80', 'a b:1', '[::1]']) {
      expect(() => parseAddress(wrong), wrong).to.throw('not host:port')
    }
    for (const right of ['127.0.0.1:0', '[::1]:9000', 'chunk-1.local:9100']) {
      expect(formatAddress(parseAddress(right))).to.equal(right)
    }
  })
})
