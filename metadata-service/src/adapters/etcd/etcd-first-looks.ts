/**
 * One look at a time into each range that cannot be cut. In a dense one it costs etcd seconds, in which it serves nobody;
 * whoever comes meanwhile waits for what it tells, in place of adding the same work again.
 */
import { hasCode, mapKey } from '@cairn/protocol'
import type { StoreKey } from '../../ports.js'

/** What a look came to. */
export interface LookResult {
  /** Whether it cost etcd little: then others need not wait for each other. */
  readonly isCheap: boolean
}

interface Taken {
  settle(result: LookResult): void
  fail(error: unknown): void
}

export class FirstLooks {
  /** By the end of the range. */
  private readonly underWay = new Map<string, Promise<LookResult>>()

  /**
   * Runs `look` alone, as far as it reads up to the ends of `uncut`, which is asked anew whenever something was told.
   * `Busy` without a look of its own if that is how the one that it waited for ended.
   */
  async run<T extends LookResult>(uncut: () => readonly StoreKey[], look: () => Promise<T>): Promise<T> {
    const taken = await this.take(uncut)
    try {
      const result = await look()
      taken.settle(result)
      return result
    } catch (error) {
      taken.fail(error)
      throw error
    }
  }

  /** Takes all ends at once, and only when nothing is waited for: two looks never wait for each other. */
  private async take(uncut: () => readonly StoreKey[]): Promise<Taken> {
    const cheap = new Set<string>()
    for (;;) {
      const names = uncut().map((end) => mapKey(end))
      const left = names.filter((name) => !cheap.has(name))
      const busy = left.find((name) => this.underWay.has(name))
      if (busy === undefined) return this.register(left)
      if (await this.wasCheap(busy)) cheap.add(busy)
    }
  }

  private async wasCheap(name: string): Promise<boolean> {
    try {
      const told = await this.underWay.get(name)
      return told?.isCheap === true
    } catch (error) {
      if (hasCode(error, 'Busy')) throw error
      return false
    }
  }

  private register(names: readonly string[]): Taken {
    let taken: Taken = { settle: () => undefined, fail: () => undefined }
    const result = new Promise<LookResult>((resolve, reject) => {
      taken = { settle: resolve, fail: reject }
    })
    const forget = (): void => {
      for (const name of names) if (this.underWay.get(name) === result) this.underWay.delete(name)
    }
    result.then(forget, forget)
    for (const name of names) this.underWay.set(name, result)
    return taken
  }
}
