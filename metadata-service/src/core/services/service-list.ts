/** The metadata services that live, as this service saw them last: what others are told when they ask. */
import type { KeyValueStore } from '../../ports.js'
import { readServices, type ServiceRow } from './service-lease.js'

export class ServiceList {
  private readonly store: KeyValueStore
  private rows: readonly ServiceRow[] = []

  constructor(store: KeyValueStore) {
    this.store = store
  }

  async look(): Promise<void> {
    this.rows = await readServices(this.store)
  }

  /** By name. */
  get known(): readonly ServiceRow[] {
    return this.rows
  }

  /** Where they can be reached. */
  get addresses(): readonly string[] {
    return this.rows.map(({ address }) => address).filter((address) => address !== '')
  }
}
