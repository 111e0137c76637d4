/** The background work of a server: gives the space of deleted blocks back, one drive after the other. */
import type { Clock } from '@cairn/protocol'
import type { ServedDrive } from './drive.js'
import type { DriveSet } from './drive-set.js'

/** Pause between two rounds while a drive is short of space and there was something to give back. */
const TIGHT_MS = 500
/** Pause while foreground calls are in flight, and how long one step may be put off by them. */
const YIELD_MS = 5
const YIELD_MS_MAX = 50

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
  const stop = new AbortController()
  let running: Promise<void> = Promise.resolve()
  let cancel = options.clock.setTimer(options.intervalMs, round)

  function round(): void {
    running = compactAll(options, stop.signal).then((isUrgent) => {
      const delayMs = isUrgent ? Math.min(TIGHT_MS, options.intervalMs) : options.intervalMs
      if (!stop.signal.aborted) cancel = options.clock.setTimer(delayMs, round)
    })
  }

  return {
    close(): Promise<void> {
      stop.abort()
      cancel()
      return running
    },
  }
}

/** True if a drive needs the next round soon. */
async function compactAll(options: UpkeepOptions, signal: AbortSignal): Promise<boolean> {
  let isUrgent = false
  for (const drive of options.drives.all()) {
    if (signal.aborted || drive.condition !== 'up') continue
    if (await compact(drive, options, signal)) isUrgent = true
  }
  return isUrgent
}

/** A failure is told and noted; the next round, or the other drives, go on. */
async function compact(drive: ServedDrive, options: UpkeepOptions, signal: AbortSignal): Promise<boolean> {
  try {
    const rest = (): Promise<void> | undefined => giveWay(drive, options.clock, signal)
    const result = await drive.writable().compactOnce?.({ signal, rest })
    return result?.tight === true && result.freedBytes > 0
  } catch (error) {
    options.onError(drive.name, drive.noted(error))
    return false
  }
}

/** Waits while the drive answers others, but not for ever. */
function giveWay(drive: ServedDrive, clock: Clock, signal: AbortSignal): Promise<void> | undefined {
  if (drive.foreground === 0) return undefined
  return (async () => {
    for (let spentMs = 0; spentMs < YIELD_MS_MAX; spentMs += YIELD_MS) {
      if (drive.foreground === 0 || signal.aborted) return
      await new Promise<void>((resolve) => clock.setTimer(YIELD_MS, resolve))
    }
  })()
}
