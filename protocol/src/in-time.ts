/** Waiting that ends. */
import type { Clock } from './ports.js'

/** What `work` resolves with; `undefined` if that takes longer than `limitMs`. What it does later is lost. */
export function inTime<T>(clock: Clock, limitMs: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    // In two halves: a process that stood still finds its timer due before the answers that came meanwhile.
    let cancel = clock.setTimer(limitMs / 2, () => {
      cancel = clock.setTimer(limitMs / 2, () => resolve(undefined))
    })
    work.then(resolve, reject).finally(() => cancel())
  })
}
