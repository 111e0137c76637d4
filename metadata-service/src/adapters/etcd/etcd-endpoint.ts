/** The connection to one member of etcd. */
import type { Clock } from '@cairn/protocol'
import type { Channel, ChannelCredentials, Client, ClientDuplexStream, Metadata } from '@grpc/grpc-js'
import { fromEtcd, notReached, outcomeUnknown } from './etcd-errors.js'
import type { EtcdLibrary, MethodCodec } from './etcd-library.js'
import { KEEPALIVE_MS, RECONNECT_MS, RECONNECT_MS_MAX } from './etcd-limits.js'
import type { EtcdMethod, EtcdRequest, EtcdResponse } from './etcd-messages.js'

/** PEM texts for the connection to etcd; without them it is plain. */
export interface EtcdTls {
  /** Who may have signed etcd's certificate; the system's authorities unless given. */
  readonly ca?: Buffer
  /** Our own certificate and its key. */
  readonly cert?: Buffer
  readonly key?: Buffer
}

export type EtcdStream<M extends EtcdMethod> = ClientDuplexStream<EtcdRequest<M>, EtcdResponse<M>>

const CHANNEL_OPTIONS = {
  'grpc.keepalive_time_ms': KEEPALIVE_MS,
  'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
  'grpc.initial_reconnect_backoff_ms': RECONNECT_MS,
  'grpc.min_reconnect_backoff_ms': RECONNECT_MS,
  'grpc.max_reconnect_backoff_ms': RECONNECT_MS_MAX,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.enable_retries': 0,
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
  'grpc.service_config_disable_resolution': 1,
}

export class EtcdEndpoint {
  /** `host:port`. */
  readonly address: string
  /** Absent for a plain connection. */
  readonly tls: EtcdTls | undefined
  private readonly library: EtcdLibrary
  private readonly clock: Clock
  private readonly client: Client
  private readonly underWay = new Set<{ cancel(): void }>()

  constructor(library: EtcdLibrary, clock: Clock, options: { address: string; tls: EtcdTls | undefined }) {
    this.library = library
    this.clock = clock
    this.address = options.address
    this.tls = options.tls
    const credentials = toCredentials(library, options.tls)
    this.client = new library.grpc.Client(options.address, credentials, CHANNEL_OPTIONS)
  }

  get isReady(): boolean {
    return this.channel.getConnectivityState(true) === this.library.grpc.connectivityState.READY
  }

  /** Whether there is a connection, after at most `timeoutMs`. */
  async connect(timeoutMs: number): Promise<boolean> {
    const { READY, IDLE, CONNECTING } = this.library.grpc.connectivityState
    const untilMs = this.clock.monotonicMs() + timeoutMs
    for (;;) {
      const state = this.channel.getConnectivityState(true)
      if (state === READY) return true
      const leftMs = untilMs - this.clock.monotonicMs()
      if ((state !== IDLE && state !== CONNECTING) || leftMs <= 0) return false
      const deadline = this.clock.wallMicros() / 1000 + leftMs
      await new Promise<void>((resolve) =>
        this.channel.watchConnectivityState(state, deadline, () => resolve()),
      )
    }
  }

  /** Sends a request once. See `etcd-errors.ts` for how it fails. */
  call<M extends EtcdMethod>(
    method: M,
    request: Buffer,
    { metadata, timeoutMs }: { metadata: Metadata; timeoutMs: number },
  ): Promise<EtcdResponse<M>> {
    if (!this.isReady) return Promise.reject(notReached(`${this.address} is not connected`))
    const { path, decode } = this.codec(method)
    return new Promise((resolve, reject) => {
      let isLate = false
      const call = this.client.makeUnaryRequest(
        path,
        asIs,
        decode,
        request,
        metadata,
        {},
        (error, answer) => {
          cancelTimer()
          this.underWay.delete(call)
          if (isLate) reject(outcomeUnknown(`${this.address} took longer than ${timeoutMs} ms`, error))
          else if (error !== null) reject(fromEtcd(error))
          else resolve(answer as EtcdResponse<M>)
        },
      )
      this.underWay.add(call)
      const cancelTimer = this.clock.setTimer(timeoutMs, () => {
        isLate = true
        call.cancel()
      })
    })
  }

  /** Opens a stream of requests and answers; `cancel` ends it. */
  stream<M extends EtcdMethod>(method: M, metadata: Metadata): EtcdStream<M> {
    const { path, encode, decode } = this.codec(method)
    const stream = this.client.makeBidiStreamRequest(path, encode, decode, metadata)
    this.underWay.add(stream)
    stream.on('close', () => this.underWay.delete(stream))
    return stream as EtcdStream<M>
  }

  /** Ends all calls. */
  close(): void {
    for (const call of [...this.underWay]) call.cancel()
    this.client.close()
  }

  /** Lets the calls under way finish, and takes no more. */
  retire(): void {
    this.client.close()
  }

  private get channel(): Channel {
    return this.client.getChannel() as Channel
  }

  private codec(method: EtcdMethod): MethodCodec {
    return this.library.methods[method]
  }
}

function toCredentials({ grpc }: EtcdLibrary, tls: EtcdTls | undefined): ChannelCredentials {
  if (tls === undefined) return grpc.credentials.createInsecure()
  return grpc.credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null)
}

function asIs(bytes: Buffer): Buffer {
  return bytes
}
