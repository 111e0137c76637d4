/** Where the metadata services are, as far as this process knows: a list that changes while it runs. */
import { CairnError } from './errors.js'

/** Addresses that are believed at once; a cluster has a handful of services. */
const ADDRESSES_MAX = 64

export interface ServiceDirectoryOptions {
  /** Believed until a service tells better, and again when none of those known answers. */
  readonly given: readonly string[]
  /** Asks the store itself when none of those known answers. */
  discover?(): Promise<readonly string[]>
}

export class ServiceDirectory {
  private readonly options: ServiceDirectoryOptions
  private readonly listeners = new Set<() => void>()
  private known: readonly string[]
  private refreshing: Promise<void> | undefined

  constructor(options: ServiceDirectoryOptions) {
    this.options = options
    this.known = distinct(options.given)
  }

  /** In no order that means anything. Empty only before the first `refresh`. */
  get addresses(): readonly string[] {
    return this.known
  }

  /** Takes the list that a service gave: it replaces what was known, unless it is empty or absent. */
  learn(addresses: readonly string[] | undefined): void {
    if (addresses !== undefined && addresses.length > 0) this.take(addresses)
  }

  /**
   * None of those known answers: adds those that were given and those that the store names. `ConnectionLost` if that
   * leaves none; errors of `discover` do not matter while there is any.
   */
  async refresh(): Promise<void> {
    this.refreshing ??= this.ask().finally(() => {
      this.refreshing = undefined
    })
    await this.refreshing
  }

  /** Runs `listener` after each change; the result ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  private async ask(): Promise<void> {
    let found: readonly string[] = []
    let cause: unknown
    try {
      found = (await this.options.discover?.()) ?? []
    } catch (error) {
      cause = error
    }
    const all = [...found, ...this.options.given, ...(found.length === 0 ? this.known : [])]
    if (all.length === 0) throw new CairnError('ConnectionLost', 'no metadata service is known', { cause })
    this.take(all)
  }

  private take(addresses: readonly string[]): void {
    const next = distinct(addresses)
    if (next.length === this.known.length && next.every((address) => this.known.includes(address))) return
    this.known = next
    for (const listener of this.listeners) listener()
  }
}

function distinct(addresses: readonly string[]): string[] {
  return [...new Set(addresses)].slice(0, ADDRESSES_MAX)
}
