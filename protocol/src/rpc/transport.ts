/** What carries the bytes of a connection: ordered, reliable until it breaks, in either direction. */

/** What a connection hears from its transport. Never called from inside one of the transport's own methods. */
export interface TransportEvents {
  received(chunk: Buffer): void
  /** Some of what was unsent has left. */
  drained(): void
  /** Called once, and last. */
  closed(cause?: Error): void
}

/** One end of an open or opening connection. */
export interface Transport {
  /** Chunks given to `received` are overwritten after the call. */
  readonly reusesChunks: boolean
  /** Bytes taken by `send` that have not left yet. */
  readonly unsentBytes: number
  /** Takes the buffers in order; they must not change afterwards. */
  send(buffers: readonly Uint8Array[]): void
  pauseReading(): void
  resumeReading(): void
  /** Closes once everything sent has left. */
  close(): void
  /** Closes at once; what is unsent is lost. */
  destroy(): void
  /** Roles that the peer's certificate names, once anything has been received; `undefined` without certificates. */
  readonly certifiedRoles?: readonly string[] | undefined
  /** The owner of the other end, where both ends lie in this process and nothing but memory is between them. */
  readonly neighbour?: () => TransportEvents | undefined
}

/** Gives a new transport its owner. */
export type BindTransport = (transport: Transport) => TransportEvents

/** An address being listened at, with its real port. */
export interface TransportListener {
  readonly address: string
  /** Stops accepting; transports already open live on. */
  stop(): Promise<void>
}

/** A way to open transports: TCP, in-process, or simulated. `localName` is the caller's own name. */
export interface TransportLayer {
  listen(address: string, localName: string, accept: BindTransport): Promise<TransportListener>
  /** Opens a transport; may be sent to at once. A failure to connect is told by `closed`. */
  dial(address: string, localName: string, bind: BindTransport): void
}
