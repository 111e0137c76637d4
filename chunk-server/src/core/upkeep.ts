/** The background work of a server: gives the space of deleted blocks back, one drive after the other. */
import type { Clock } from '@cairn/protocol'
import type { ServedDrive } from './drive.js'
import type { DriveSet } from './drive-set.js'

export interface UpkeepOptions {
  readonly clock: Clock
  readonly drives: DriveSet
  /** Pause between two rounds, in milliseconds. */
  readonly intervalMs: number
  readonly onError: (drive: string, error: unknown) => void
}

/** The running rounds. */
export interface Upkeep {
  /** Resolves once the run under way has ended. */
  close(): Promise<void>
}

export function startUpkeep(options: UpkeepOptions): Upkeep {
  let running: Promise<void> = Promise.resolve()
  let closed = false
  let cancel = options.clock.setTimer(options.intervalMs, round)

  function round(): void {
    running = compactAll(options, () => closed).then(() => {
      if (!closed) cancel = options.clock.setTimer(options.intervalMs, round)
    })
  }

  return {
    close(): Promise<void> {
      closed = true
      cancel()
      return running
    },
  }
}

async function compactAll(options: UpkeepOptions, isClosed: () => boolean): Promise<void> {
  for (const drive of options.drives.all()) {
    if (!isClosed() && drive.condition === 'up') await compact(drive, options)
  }
}

/** A failure is told and noted; the next round, or the other drives, go on. */
async function compact(drive: ServedDrive, options: UpkeepOptions): Promise<void> {
  try {
    await drive.writable().compactOnce?.()
  } catch (error) {
    options.onError(drive.name, drive.noted(error))
  }
}
