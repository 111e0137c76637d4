/**
 * One multiplexed connection, the part that both sides share: frames in and out, the handshake, keep-alive, and
 * the end. The calls are kept by a `CallSide`: `ClientCalls` or `ServerCalls`.
 *
 * Relies on a transport that is ordered and whole until it breaks. Promises: whatever breaks (the transport, the
 * peer, the rules of the protocol), `CallSide.closed` is called exactly once, and nothing is sent or taken after.
 */
import { CairnError, hasCode } from '../errors.js'
import type { CancelTimer, Clock, Random } from '../ports.js'
import type { BodyLink } from './body-link.js'
import type { DirectEnd } from './direct-call.js'
import { decodeError, encodeError } from './error-message.js'
import { FRAME, type FrameHead, FrameParser, NO_CONTENT } from './frame.js'
import type { Handshake, HandshakeOptions } from './handshake.js'
import {
  BATCH_BYTES_MAX,
  CLOSE_DEADLINE_MS,
  HANDSHAKE_DEADLINE_MS,
  KEEP_ALIVE_MS,
  UNANSWERED_PINGS_MAX,
  UNSENT_ANSWER_BYTES_MAX,
  UNSENT_BYTES_MAX,
} from './limits.js'
import { Outbox } from './outbox.js'
import type { Transport, TransportEvents } from './transport.js'
import type { HandshakeIdentity, PeerIdentity, Unit } from './types.js'

/** Told of failures that the peer must not see: `where` is a method's name, `handshake` or `connection`. */
export type OnRpcError = (error: unknown, where: string) => void

/** What every connection of a network needs from its world. */
export interface ConnectionContext {
  readonly clock: Clock
  readonly random: Random
  readonly onError?: OnRpcError
}

/** What one side does with the calls of a connection. */
export interface CallSide {
  /** A side that answers stops reading while too much of its answers is unsent; one that asks always reads. */
  readonly answers: boolean
  /** How the asking side of the same process calls without frames; only a side that answers has it. */
  readonly direct?: DirectEnd
  ready(peer: PeerIdentity): void
  /** Takes a frame of a stream. Throws if the peer breaks the protocol. */
  frame(head: Readonly<FrameHead>, content: Buffer): void
  /** Takes a unit or credit of a stream from the other end in this process: a frame's content without the frame. */
  unit(stream: number, unit: Unit): void
  credit(stream: number, bytes: number): void
  closed(error: CairnError): void
}

/** What makes one connection. */
export interface ConnectionOptions extends ConnectionContext {
  readonly identity: HandshakeIdentity
  /** Names the peer in errors. */
  readonly address: string
  readonly transport: Transport
  readonly createHandshake: (options: HandshakeOptions) => Handshake
}

const MESSAGE_HEAD: FrameHead = { type: 0, flags: 0, stream: 0, a: 0, b: 0 }

/** See the head of this file. */
export class Connection implements TransportEvents, BodyLink {
  readonly clock: Clock
  private readonly options: ConnectionOptions
  private readonly transport: Transport
  private readonly calls: CallSide
  private readonly handshake: Handshake
  private readonly parser: FrameParser
  private readonly outbox: Outbox = new Outbox()
  private readonly head: FrameHead = { ...MESSAGE_HEAD }
  private parked: (() => void)[] = []
  private state: 'handshake' | 'open' | 'closed' = 'handshake'
  private flushDue = false
  private readingPaused = false
  private heard = false
  private unansweredPings = 0
  private cancelTimer: CancelTimer

  /** `createCalls` gets the connection unready: it may send only after `ready`. */
  constructor(options: ConnectionOptions, createCalls: (connection: Connection) => CallSide) {
    const { clock, transport, identity, random } = options
    this.options = options
    this.clock = clock
    this.transport = transport
    this.parser = new FrameParser(this.take, { copies: transport.reusesChunks })
    const send = (type: number, content: Uint8Array): void => this.send(type, 0, content)
    this.handshake = options.createHandshake({
      identity,
      random,
      send,
      certifiedRoles: () => transport.certifiedRoles,
    })
    this.calls = createCalls(this)
    this.cancelTimer = clock.setTimer(HANDSHAKE_DEADLINE_MS, () => this.destroy('no handshake in time'))
    this.handshake.start()
  }

  get ready(): boolean {
    return this.state === 'open'
  }

  /** The other end's calls, if they are in this process and both ends are open. */
  get neighbour(): DirectEnd | undefined {
    const other = this.transport.neighbour?.()
    return other instanceof Connection && other.state === 'open' ? other.calls.direct : undefined
  }

  /**
   * The other end, if it is in this process and nothing is on its way to it: what it is given now keeps its place
   * among the frames.
   */
  private get near(): Connection | undefined {
    if (this.state !== 'open' || this.outbox.sizeBytes > 0 || this.transport.unsentBytes > 0) return undefined
    const other = this.transport.neighbour?.()
    return other instanceof Connection && other.state === 'open' ? other : undefined
  }

  /** Sends a frame with content at the end of this turn. */
  send(type: number, stream: number, content: Uint8Array, flags = 0): void {
    this.write(type, stream, content, { flags, a: 0, b: 0 })
  }

  /** As `send`, with the words a and b of the head. */
  write(
    type: number,
    stream: number,
    content: Uint8Array,
    words: { flags: number; a: number; b: number },
  ): void {
    if (this.state === 'closed') return
    const head = this.head
    head.type = type
    head.stream = stream
    head.flags = words.flags
    head.a = words.a
    head.b = words.b
    this.outbox.append(head, content)
    if (this.outbox.sizeBytes >= BATCH_BYTES_MAX) this.flush()
    else this.flushLater()
  }

  sendUnit(stream: number, unit: Unit): void {
    const { near } = this
    if (near === undefined) this.writeUnit(stream, unit)
    else near.hear(() => near.calls.unit(stream, unit))
  }

  private writeUnit(stream: number, unit: Unit): void {
    this.write(FRAME.data, stream, unit.bytes, { flags: 0, a: unit.check, b: 0 })
  }

  sendEnd(stream: number): void {
    this.send(FRAME.end, stream, NO_CONTENT)
  }

  sendCredit(stream: number, grantedBytes: number): void {
    const { near } = this
    if (near === undefined) this.writeCredit(stream, grantedBytes)
    else near.hear(() => near.calls.credit(stream, grantedBytes))
  }

  private writeCredit(stream: number, grantedBytes: number): void {
    this.write(FRAME.credit, stream, NO_CONTENT, { flags: 0, a: grantedBytes, b: 0 })
  }

  sendError(stream: number, error: CairnError): void {
    this.send(FRAME.error, stream, encodeError(error))
  }

  get writable(): boolean {
    return this.unsentBytes < UNSENT_BYTES_MAX
  }

  park(wake: () => void): void {
    this.parked.push(wake)
  }

  /** Reports what must not cross the wire. */
  report(error: unknown, where: string): void {
    this.options.onError?.(error, where)
  }

  /** Ends the connection after all that was sent has left. */
  close(reason: string): void {
    if (this.state === 'closed') return
    this.flush()
    this.endSoon(new CairnError('ConnectionLost', `connection to ${this.options.address} closed: ${reason}`))
  }

  /** Ends the connection at once. */
  destroy(reason: string, cause?: unknown): void {
    if (this.state === 'closed') return
    const words = `connection to ${this.options.address} lost: ${reason}`
    this.end(new CairnError('ConnectionLost', words, { cause }))
    this.transport.destroy()
  }

  received(chunk: Buffer): void {
    this.hear(() => this.parser.push(chunk))
  }

  /** Takes something from the peer; a peer that breaks the rules ends the connection. */
  private hear(take: () => void): void {
    this.heard = true
    try {
      take()
    } catch (error) {
      if (this.state === 'handshake') this.reject(error)
      else this.breach(error)
    }
  }

  drained(): void {
    if (this.readingPaused) this.resumeReading()
    this.wakeParked()
  }

  closed(cause?: Error): void {
    if (this.state === 'closed') this.cancelTimer()
    if (this.state === 'handshake' && cause instanceof CairnError) {
      this.report(cause, 'handshake')
      if (cause.code === 'PeerRejected') {
        this.end(cause)
        return
      }
    }
    this.destroy(cause?.message ?? 'closed by the peer', cause)
  }

  private get unsentBytes(): number {
    return this.transport.unsentBytes + this.outbox.sizeBytes
  }

  private resumeReading(): void {
    // Only a living peer makes room. (Otherwise that bytes have left says nothing about the peer.)
    this.heard = true
    if (this.unsentBytes >= UNSENT_ANSWER_BYTES_MAX) return
    this.readingPaused = false
    this.transport.resumeReading()
  }

  /** Whoever fills the transport and parks again goes to the end of the queue. */
  private wakeParked(): void {
    while (this.parked.length > 0 && this.writable) this.parked.shift()?.()
  }

  private flushLater(): void {
    if (this.flushDue) return
    this.flushDue = true
    this.clock.defer(this.flush)
  }

  private readonly flush = (): void => {
    this.flushDue = false
    if (this.state === 'closed' || this.outbox.sizeBytes === 0) return
    this.transport.send(this.outbox.take())
    if (this.calls.answers && !this.readingPaused && this.unsentBytes >= UNSENT_ANSWER_BYTES_MAX) {
      this.readingPaused = true
      this.transport.pauseReading()
    }
  }

  private readonly take = (head: Readonly<FrameHead>, content: Buffer): void => {
    if (this.state === 'handshake') this.takeHandshake(head, content)
    else if (head.stream !== 0) this.calls.frame(head, content)
    else this.takeControl(head, content)
  }

  private takeHandshake(head: Readonly<FrameHead>, content: Buffer): void {
    if (head.type === FRAME.error) throw decodeError(content)
    const peer = this.handshake.take(head.type, content)
    if (peer === undefined) return
    this.state = 'open'
    this.parser.contentBytesMax = Number.POSITIVE_INFINITY
    this.cancelTimer()
    this.cancelTimer = this.clock.setTimer(KEEP_ALIVE_MS, this.keepAlive)
    this.calls.ready(peer)
  }

  private takeControl(head: Readonly<FrameHead>, content: Buffer): void {
    if (head.type === FRAME.ping) this.send(FRAME.pong, 0, NO_CONTENT)
    else if (head.type === FRAME.error) this.closed(decodeError(content))
    else if (head.type !== FRAME.pong)
      throw new CairnError('MessageCorrupt', `frame ${head.type} without a call`)
  }

  private readonly keepAlive = (): void => {
    if (this.heard) this.unansweredPings = 0
    else if (this.unansweredPings >= UNANSWERED_PINGS_MAX) {
      this.destroy('the peer is silent')
      return
    } else {
      this.unansweredPings++
      this.send(FRAME.ping, 0, NO_CONTENT)
    }
    this.heard = false
    this.cancelTimer = this.clock.setTimer(KEEP_ALIVE_MS, this.keepAlive)
  }

  /** Ends a connection whose handshake failed, telling the peer why. */
  private reject(error: unknown): void {
    const told = hasCode(error, 'PeerRejected')
      ? error
      : new CairnError('PeerRejected', 'handshake failed', { cause: error })
    this.report(told, 'handshake')
    this.sendError(0, told)
    this.flush()
    this.endSoon(told)
  }

  /** Ends a connection whose peer broke the protocol, telling it why. */
  private breach(error: unknown): void {
    this.report(error, 'connection')
    const words = error instanceof CairnError ? error.message : 'internal error'
    this.sendError(0, new CairnError('MessageCorrupt', words))
    this.flush()
    const lost = `connection to ${this.options.address} broken off: ${words}`
    this.endSoon(new CairnError('ConnectionLost', lost, { cause: error }))
  }

  /** Ends, but leaves the transport some time to send what it has. */
  private endSoon(error: CairnError): void {
    this.end(error)
    this.cancelTimer = this.clock.setTimer(CLOSE_DEADLINE_MS, () => this.transport.destroy())
    this.transport.close()
  }

  private end(error: CairnError): void {
    this.state = 'closed'
    this.parser.stop()
    this.parked = []
    this.cancelTimer()
    this.calls.closed(error)
  }
}
