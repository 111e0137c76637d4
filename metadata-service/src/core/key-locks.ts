/** Writers of one key wait for each other in the service, so that they do not fight in the store. */
import { CairnError, mapKey } from '@cairn/protocol'

/** Writers that may wait for one key: at a commit each, more would only time out. `Busy` above it. */
export const KEY_WAITERS_MAX = 1024

interface Queue {
  last: Promise<unknown>
  length: number
}

const NOTHING = Promise.resolve()

/** One queue for each row key in use. It saves work and decides nothing: the compares of the commits do. */
export class KeyLocks {
  private readonly queues = new Map<string, Queue>()

  /** Runs `task` once all earlier tasks of this row have ended. `Busy` when too many wait. */
  run<T>(row: Uint8Array, task: () => Promise<T>): Promise<T> {
    const name = mapKey(row)
    const queue = this.queues.get(name)
    if (queue === undefined) return this.enqueue(name, { last: NOTHING, length: 0 }, task())
    if (queue.length >= KEY_WAITERS_MAX) {
      return Promise.reject(new CairnError('Busy', 'too many writers of one key'))
    }
    return this.enqueue(name, queue, queue.last.then(task))
  }

  /** As `run` for whoever can begin at once; the function ends it. `undefined` while others use the row. */
  tryEnter(row: Uint8Array): (() => void) | undefined {
    const name = mapKey(row)
    if (this.queues.has(name)) return undefined
    let leave = (): void => undefined
    void this.enqueue(
      name,
      { last: NOTHING, length: 0 },
      new Promise<void>((resolve) => {
        leave = resolve
      }),
    )
    return leave
  }

  /** Row keys in use. */
  get size(): number {
    return this.queues.size
  }

  private enqueue<T>(name: string, queue: Queue, running: Promise<T>): Promise<T> {
    const leave = (): void => {
      queue.length--
      if (queue.length === 0) this.queues.delete(name)
    }
    queue.length++
    this.queues.set(name, queue)
    queue.last = running.then(leave, leave)
    return running
  }
}
