/**
 * CORS rules by bucket, read through the client. A change made by this gateway is seen at once; one made by
 * another is seen by every request that begins `CORS_CACHE_MS` after it.
 */
import type { CairnClient } from '@cairn/client'
import { hasCode } from '@cairn/protocol'
import { CORS_BUCKETS_MAX, CORS_CACHE_MS } from '../limits.js'
import { type CorsRule, decodeCorsRules } from '../operations/buckets/cors-rules.js'

/** The rules of a bucket; `undefined` where it has none. */
export type FoundRules = readonly CorsRule[] | 'NoSuchBucket' | undefined

interface Entry {
  /** When the reading began: what it shows is never older. */
  readonly sinceMs: number
  readonly rules: Promise<FoundRules>
}

export class CorsCache {
  readonly #client: CairnClient
  readonly #entries = new Map<string, Entry>()

  constructor(client: CairnClient) {
    this.#client = client
  }

  /** Rejects if nobody can know. */
  find(bucket: string, nowMs: number): Promise<FoundRules> {
    const known = this.#entries.get(bucket)
    if (known !== undefined && nowMs - known.sinceMs < CORS_CACHE_MS) return known.rules
    this.#entries.delete(bucket)
    if (this.#entries.size >= CORS_BUCKETS_MAX) this.#dropOldest()
    const entry: Entry = { sinceMs: nowMs, rules: this.#read(bucket) }
    this.#entries.set(bucket, entry)
    // A failure is not remembered; whoever waits for it is told.
    entry.rules.catch(() => {
      if (this.#entries.get(bucket) === entry) this.#entries.delete(bucket)
    })
    return entry.rules
  }

  /** The rules have changed: what was read, or is being read, counts no longer. */
  forget(bucket: string): void {
    this.#entries.delete(bucket)
  }

  #dropOldest(): void {
    for (const bucket of this.#entries.keys()) {
      this.#entries.delete(bucket)
      return
    }
  }

  async #read(bucket: string): Promise<FoundRules> {
    try {
      const stored = await this.#client.getBucketConfiguration(bucket, 'cors')
      return stored === undefined ? undefined : decodeCorsRules(stored)
    } catch (error) {
      if (hasCode(error, 'NoSuchBucket')) return 'NoSuchBucket'
      throw error
    }
  }
}

const caches = new WeakMap<CairnClient, CorsCache>()

/** The one cache on top of a client, shared by the operations that change rules and the requests that ask. */
export function corsCacheOf(client: CairnClient): CorsCache {
  let cache = caches.get(client)
  if (cache === undefined) {
    cache = new CorsCache(client)
    caches.set(client, cache)
  }
  return cache
}
