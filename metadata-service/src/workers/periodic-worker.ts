/** Runs a task again and again, one run at a time, with a pause between. */
import type { CancelTimer, Clock } from '@cairn/protocol'

export interface PeriodicTask {
  readonly clock: Clock
  /** Pause between two runs. */
  readonly intervalMs: number
  /** One run; it should end soon once `signal` aborts. */
  run(signal: AbortSignal): Promise<unknown>
  /** A run that failed; the next one comes after the usual pause. */
  onError(error: unknown): void
}

export class PeriodicWorker {
  private readonly task: PeriodicTask
  private cancel: CancelTimer | undefined
  private running: Promise<void> = Promise.resolve()
  private abort = new AbortController()

  constructor(task: PeriodicTask) {
    this.task = task
  }

  /** The first run comes after one pause. */
  start(): void {
    if (this.cancel !== undefined) return
    this.abort = new AbortController()
    this.schedule()
  }

  /** Resolves when no run is under way any more. */
  async stop(): Promise<void> {
    this.abort.abort()
    this.cancel?.()
    this.cancel = undefined
    await this.running
  }

  private schedule(): void {
    this.cancel = this.task.clock.setTimer(this.task.intervalMs, () => {
      this.running = this.runAndSchedule()
    })
  }

  private async runAndSchedule(): Promise<void> {
    const { signal } = this.abort
    try {
      await this.task.run(signal)
    } catch (error) {
      if (!signal.aborted) this.task.onError(error)
    }
    if (!signal.aborted) this.schedule()
  }
}

/** Lets everything else that is waiting go first. */
export function yieldTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.defer(resolve))
}
