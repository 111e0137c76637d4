import { AgingMap, type Clock } from '@cairn/protocol'
import { FACT_CACHE_ENTRIES_MAX, FACT_CACHE_MS } from '../limits.js'

/**
 * Facts that are believed for FACT_CACHE_MS. Only for what the commit compares again, so that a stale fact can
 * cost a repetition and never a wrong write. Absence is never remembered.
 */
export class FactCache<Fact> {
  private readonly facts = new AgingMap<string, { readonly fact: Fact; readonly untilMs: number }>()
  private readonly clock: Clock

  constructor(clock: Clock) {
    this.clock = clock
  }

  find(name: string): Fact | undefined {
    const entry = this.facts.get(name)
    if (entry === undefined) return undefined
    if (entry.untilMs > this.clock.monotonicMs()) return entry.fact
    this.facts.delete(name)
    return undefined
  }

  remember(name: string, fact: Fact): void {
    this.facts.set(name, { fact, untilMs: this.clock.monotonicMs() + FACT_CACHE_MS })
    if (this.facts.size > FACT_CACHE_ENTRIES_MAX) this.facts.takeOldest()
  }

  forget(name: string): void {
    this.facts.delete(name)
  }
}
