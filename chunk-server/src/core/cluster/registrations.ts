/**
 * Registers this server with every metadata service that is known, and sends its beats to each of them: so each knows
 * the state of drives by itself, and one that does not answer delays nobody. Only the first registration changes
 * anything; for the others it is a look at what they know already.
 */
import { CairnError, type ErrorCode, hasCode, type RpcPeer, toCairnError } from '@cairn/protocol'
import type { MetadataPeers } from './metadata-peers.js'
import { type Registration, type RegistrationOptions, startRegistration } from './registration.js'

export interface RegistrationsOptions
  extends Omit<RegistrationOptions, 'metadata' | 'onServices' | 'onFailure'> {
  readonly metadata: MetadataPeers
}

/** Starts the exchange with all services; `isRegistered` and `first` are about any of them. */
export function startRegistrations(options: RegistrationsOptions): Registration {
  return new AllRegistrations(options)
}

class AllRegistrations implements Registration {
  readonly first: Promise<void>
  private readonly options: RegistrationsOptions
  private readonly links = new Map<string, Registration>()
  private readonly stopListening: () => void
  private wasRegistered = false
  /** Codes of failures since no service knows this server: each service would tell of the same. */
  private readonly told = new Set<ErrorCode>()
  private resolveFirst: () => void = () => undefined
  private rejectFirst: (error: CairnError) => void = () => undefined

  constructor(options: RegistrationsOptions) {
    this.options = options
    this.first = new Promise((resolve, reject) => {
      this.resolveFirst = resolve
      this.rejectFirst = reject
    })
    this.first.catch(() => undefined)
    const { directory } = options.metadata
    this.stopListening = directory.onChange(() => this.follow())
    this.follow()
  }

  isRegistered(): boolean {
    return [...this.links.values()].some((link) => link.isRegistered())
  }

  renew(): void {
    for (const link of this.links.values()) link.renew()
  }

  async close(): Promise<void> {
    this.stopListening()
    this.rejectFirst(new CairnError('ShuttingDown', 'closed before a metadata service answered'))
    await Promise.all([...this.links.values()].map((link) => link.close()))
  }

  /** One exchange for each service of the list. */
  private follow(): void {
    const { metadata } = this.options
    const { addresses } = metadata.directory
    for (const [address, link] of this.links) {
      if (addresses.includes(address)) continue
      this.links.delete(address)
      link.close().then(
        () => metadata.forget(address),
        () => undefined,
      )
    }
    for (const address of addresses) {
      if (!this.links.has(address)) this.links.set(address, this.start(metadata.at(address)))
    }
  }

  private start(peer: RpcPeer): Registration {
    const { metadata } = this.options
    const link = startRegistration({
      ...this.options,
      metadata: peer,
      onChange: (change) => this.note(change),
      onServices: (addresses) => metadata.directory.learn(addresses),
      onFailure: () => this.lookElsewhere(),
    })
    link.first.catch((error: unknown) => {
      if (hasCode(error, 'FormatTooNew')) this.rejectFirst(error)
    })
    return link
  }

  private note(change: { registered: boolean; error?: unknown }): void {
    if (change.registered) this.resolveFirst()
    const registered = this.isRegistered()
    if (registered) this.told.clear()
    if (registered !== this.wasRegistered) {
      this.wasRegistered = registered
      this.options.onChange(registered ? { registered } : change)
    } else if (!registered && !this.told.has(toCairnError(change.error).code)) {
      this.options.onChange(change)
    }
    if (!registered) this.told.add(toCairnError(change.error).code)
  }

  private lookElsewhere(): void {
    if (!this.isRegistered()) this.options.metadata.directory.refresh().catch(() => undefined)
  }
}
