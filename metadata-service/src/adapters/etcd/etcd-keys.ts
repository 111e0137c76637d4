/**
 * Where a store's rows lie in etcd: below `<prefix><cell>/`. Every commit touches one cell only, so that more etcd
 * clusters can take further cells one day.
 */
import type { StoreKey, StoreRange, StoreRow } from '../../ports.js'
import type { EtcdKeyValue } from './etcd-messages.js'

const CELL = '0/'
const EMPTY = Buffer.alloc(0)

export class EtcdKeys {
  private readonly prefix: Buffer

  /** `prefix` as configured, with or without its closing slash. */
  constructor(prefix: string) {
    this.prefix = Buffer.from(`${prefix.endsWith('/') ? prefix : `${prefix}/`}${CELL}`)
  }

  /** Everything of the store. */
  get all(): { readonly key: Buffer; readonly range_end: Buffer } {
    const end = Buffer.from(this.prefix)
    end[end.length - 1] = (end[end.length - 1] ?? 0) + 1
    return { key: this.prefix, range_end: end }
  }

  outside(key: StoreKey): Buffer {
    return Buffer.concat([this.prefix, key], this.prefix.length + key.length)
  }

  range({ from, to }: StoreRange): { readonly key: Buffer; readonly range_end: Buffer } {
    return { key: this.outside(from), range_end: this.outside(to) }
  }

  inside(key: Buffer): Buffer {
    return key.subarray(this.prefix.length)
  }

  row(found: EtcdKeyValue): StoreRow {
    return {
      key: this.inside(found.key),
      value: found.value ?? EMPTY,
      revision: found.mod_revision ?? 0,
      created: found.create_revision ?? 0,
    }
  }
}

/** A range that holds no key, whatever is stored; etcd must not be asked for it. */
export function isVoid({ from, to }: StoreRange): boolean {
  return Buffer.compare(from, to) >= 0
}
