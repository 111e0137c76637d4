/**
 * The number of this run of the server among all its runs: when it began, in µs. Services refuse what comes late from
 * a run with a lower one.
 *
 * A clock that was set back makes it too low. So a run that no service has taken yet raises it above the one it is
 * refused for. One that was taken before, and is refused now, has been replaced by a later run, and stays refused.
 */
import { hasCode } from '@cairn/protocol'

export class RunStart {
  private micros: number
  private isAccepted = false

  constructor(micros: number) {
    this.micros = micros
  }

  get value(): number {
    return this.micros
  }

  /** A service has taken it. */
  accept(): void {
    this.isAccepted = true
  }

  /** A service has refused a registration. */
  learn(error: unknown): void {
    if (this.isAccepted || !hasCode(error, 'PeerRejected')) return
    const { runStart } = error.details
    if (runStart !== undefined) this.micros = Math.max(this.micros, Number(runStart) + 1)
  }
}
