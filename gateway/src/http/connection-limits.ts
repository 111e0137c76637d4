import { networkOf } from './peer-address.js'

/** How many connections there may be, in all and from one address; from one /64 network with IPv6. */
export interface ConnectionLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  /** Addresses that bring many clients, such as proxies: only `connectionsMax` counts for them. */
  readonly trustedAddresses: readonly string[]
}

export class ConnectionCounts {
  readonly #limits: ConnectionLimits
  readonly #byAddress = new Map<string, number>()
  #total = 0

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
  }

  get total(): number {
    return this.#total
  }

  /** False if the connection is one too many; otherwise it counts until it is released. */
  admit(address: string): boolean {
    const network = networkOf(address)
    const ofAddress = this.#byAddress.get(network) ?? 0
    const { connectionsMax, connectionsPerAddressMax, trustedAddresses } = this.#limits
    if (this.#total >= connectionsMax) return false
    if (ofAddress >= connectionsPerAddressMax && !trustedAddresses.includes(address)) return false
    this.#total++
    this.#byAddress.set(network, ofAddress + 1)
    return true
  }

  release(address: string): void {
    this.#total--
    const network = networkOf(address)
    const left = (this.#byAddress.get(network) ?? 1) - 1
    if (left === 0) this.#byAddress.delete(network)
    else this.#byAddress.set(network, left)
  }
}
