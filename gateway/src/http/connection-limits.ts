/** How many connections there may be, in all and from one address. */
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
    const ofAddress = this.#byAddress.get(address) ?? 0
    const { connectionsMax, connectionsPerAddressMax, trustedAddresses } = this.#limits
    if (this.#total >= connectionsMax) return false
    if (ofAddress >= connectionsPerAddressMax && !trustedAddresses.includes(address)) return false
    this.#total++
    this.#byAddress.set(address, ofAddress + 1)
    return true
  }

  release(address: string): void {
    this.#total--
    const left = (this.#byAddress.get(address) ?? 1) - 1
    if (left === 0) this.#byAddress.delete(address)
    else this.#byAddress.set(address, left)
  }
}
