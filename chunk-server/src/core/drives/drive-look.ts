/** Looks at a disk that keep nobody waiting: a dying one, or a mount whose server has gone, may never answer. */
import { type Clock, inTime } from '@cairn/protocol'

/** How long a look may take; then the disk counts as one that does not answer. A busy one takes seconds. */
const LOOK_MS = 5_000

/** One kind of look at one disk. */
export class DriveLook<Found> {
  private readonly clock: Clock
  private readonly look: () => Promise<Found>
  /** Of the look that is under way; it stays as it is until that look ends, however late. */
  private answer: Promise<Found | undefined> | undefined
  private found: Found | undefined

  constructor(clock: Clock, look: () => Promise<Found>) {
    this.clock = clock
    this.look = look
  }

  /**
   * What there is to be seen; `undefined` if that takes too long. A look that hangs is not begun again: each would hold
   * one of the few threads that all files of the process share.
   */
  find(): Promise<Found | undefined> {
    this.answer ??= this.remember(inTime(this.clock, LOOK_MS, this.begin()))
    return this.answer
  }

  /** What the last look saw that has been answered, or given up. */
  get last(): Found | undefined {
    return this.found
  }

  private async remember(answer: Promise<Found | undefined>): Promise<Found | undefined> {
    this.found = await answer
    return this.found
  }

  private async begin(): Promise<Found> {
    try {
      return await this.look()
    } finally {
      this.answer = undefined
    }
  }
}
