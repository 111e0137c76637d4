/** The answering end of a network address. */
import { Connection, type ConnectionContext } from './connection.js'
import { createServerHandshake, hasSecret, secretMissing } from './handshake.js'
import { CONNECTIONS_PER_LISTENER_MAX } from './limits.js'
import { ServerCalls } from './server-calls.js'
import type { Transport, TransportEvents, TransportLayer, TransportListener } from './transport.js'
import type { HandshakeIdentity, RpcListener, RpcRouterTable } from './types.js'

/** What to serve, where, and as whom. */
export interface ListenOptions extends ConnectionContext {
  readonly layer: TransportLayer
  readonly address: string
  readonly identity: HandshakeIdentity
  readonly table: RpcRouterTable
}

/** Listens and answers; rejects with `PeerRejected` without a cluster secret. */
export async function listen(options: ListenOptions): Promise<RpcListener> {
  if (!hasSecret(options.identity)) throw secretMissing(options.identity)
  const served = new ServedConnections(options)
  const { layer, address, identity } = options
  const listener = await layer.listen(address, identity.name, (transport) => served.accept(transport))
  return { address: listener.address, close: (drainMs) => served.close(listener, drainMs) }
}

/** Hears nothing: for a transport that is not wanted. */
const DEAF: TransportEvents = {
  received: () => undefined,
  drained: () => undefined,
  closed: () => undefined,
}

interface Served {
  readonly connection: Connection
  readonly calls: ServerCalls
}

class ServedConnections {
  private readonly options: ListenOptions
  private readonly open: Set<Served> = new Set()
  private allClosed: (() => void) | undefined
  private closing: Promise<void> | undefined

  constructor(options: ListenOptions) {
    this.options = options
  }

  accept(transport: Transport): TransportEvents {
    if (this.closing !== undefined || !this.makeRoom()) {
      transport.destroy()
      return DEAF
    }
    const { table, address } = this.options
    let served: Served | undefined
    const connection = new Connection(
      { ...this.options, address, transport, createHandshake: createServerHandshake },
      (created) => {
        const calls = new ServerCalls(created, { table, onClosed: () => this.closed(served) })
        served = { connection: created, calls }
        return calls
      },
    )
    if (served !== undefined) this.open.add(served)
    return connection
  }

  /** ● Strangers, who prove nothing, keep nobody out: of too many the one that has been silent longest gives way. */
  private makeRoom(): boolean {
    if (this.open.size < CONNECTIONS_PER_LISTENER_MAX) return true
    for (const { connection } of this.open) {
      if (connection.ready) continue
      connection.destroy('it gave way to another before it had proved itself')
      return true
    }
    return false
  }

  close(listener: TransportListener, drainMs: number): Promise<void> {
    this.closing ??= this.drain(listener, drainMs)
    return this.closing
  }

  private async drain(listener: TransportListener, drainMs: number): Promise<void> {
    const stopped = listener.stop()
    for (const { calls } of this.open) calls.drain()
    const cancelTimer = this.options.clock.setTimer(drainMs, () => this.cut())
    await new Promise<void>((resolve) => {
      this.allClosed = resolve
      if (this.open.size === 0) resolve()
    })
    cancelTimer()
    await stopped
  }

  private cut(): void {
    for (const { connection } of this.open) connection.destroy('the service has shut down')
  }

  private closed(served: Served | undefined): void {
    if (served !== undefined) this.open.delete(served)
    if (this.open.size === 0) this.allClosed?.()
  }
}
