/**
 * The way from a metadata service to its store. An entry that was sent reaches the store even if its sender dies;
 * the answer reaches only the living. The hook may kill the service between any two steps.
 */

import type { EntryStore } from '@cairn/metadata-service'
import type { Clock, Random } from '@cairn/protocol'
import { pause, type SimulatedProcess } from './process.js'

/** Longest time of one way, in ms. */
const DELAY_MS_MAX = 1.5

export interface StoreLinkOptions {
  readonly store: EntryStore
  readonly process: SimulatedProcess
  readonly world: Clock
  readonly random: Random
  /** Called as an entry leaves, and once it is applied. */
  onStep(step: 'send' | 'applied'): void
}

/** The store as one life of a service sees it. Closing it leaves the store open. */
export function linkStore(options: StoreLinkOptions): EntryStore {
  const { store, process, world, random, onStep } = options

  async function travel<T>(call: () => Promise<T>): Promise<T> {
    await pause(world, random.fraction() * DELAY_MS_MAX)
    const outcome = await call().then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error
      },
    )
    await pause(process.clock, random.fraction() * DELAY_MS_MAX)
    return outcome()
  }

  return {
    async apply(entry) {
      if (process.isDead) return new Promise(() => undefined)
      onStep('send')
      const results = await travel(() => store.apply(entry))
      onStep('applied')
      return results
    },
    read: (reads) => travel(() => store.read(reads)),
    rowsAt: (keys, revision) => travel(() => store.rowsAt(keys, revision)),
    watch: (range, fromRevision, signal) => store.watch(range, fromRevision, signal),
    grantLease: (ttlMs) => travel(() => store.grantLease(ttlMs)),
    renewLease: (lease) => travel(() => store.renewLease(lease)),
    revokeLease: (lease) => travel(() => store.revokeLease(lease)),
    close: async () => undefined,
  }
}
