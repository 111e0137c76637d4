/**
 * One run of a process in a simulated cluster. Killing it stops all its timers for ever, so that nothing it had in
 * mind happens any more; pausing it (SIGSTOP) puts them off until it goes on.
 */
import type { CancelTimer, Clock } from '@cairn/protocol'

/** The process has been killed while somebody waited for it. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied'
}

export class SimulatedProcess {
  readonly name: string
  /** The world's clock as this process has it. */
  readonly clock: Clock
  private state: 'running' | 'paused' | 'dead' = 'running'
  private delayed: (() => void)[] = []
  private readonly mourners = new Set<() => void>()

  constructor(name: string, world: Clock) {
    this.name = name
    this.clock = {
      wallMicros: () => world.wallMicros(),
      monotonicMs: () => world.monotonicMs(),
      setTimer: (delayMs, task): CancelTimer => {
        let isCancelled = false
        const cancel = world.setTimer(delayMs, () => this.run(() => isCancelled || task()))
        return () => {
          isCancelled = true
          cancel()
        }
      },
      defer: (task) => world.defer(() => this.run(task)),
    }
  }

  get isDead(): boolean {
    return this.state === 'dead'
  }

  kill(): void {
    this.state = 'dead'
    this.delayed = []
    for (const mourner of this.mourners) mourner()
    this.mourners.clear()
  }

  pause(): void {
    if (this.state === 'running') this.state = 'paused'
  }

  resume(): void {
    if (this.state !== 'paused') return
    this.state = 'running'
    const tasks = this.delayed
    this.delayed = []
    for (const task of tasks) this.run(task)
  }

  /** The promise's outcome as someone outside sees it: `ProcessDied` if the process does not live to tell. */
  outcome<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const mourner = (): void => reject(new ProcessDied(`${this.name} died`))
      if (this.isDead) mourner()
      this.mourners.add(mourner)
      promise.then(resolve, reject).finally(() => this.mourners.delete(mourner))
    })
  }

  private run(task: () => void): void {
    if (this.state === 'running') task()
    else if (this.state === 'paused') this.delayed.push(task)
  }
}

/** Resolves after `delayMs` of the clock. */
export function pause(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.setTimer(delayMs, resolve))
}
