/** Progress of a long command: a bar on a terminal, plain lines now and then in a pipe. */

/** Where it is written. */
export interface ProgressStream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export interface Progress {
  show(text: string, done: number, total: number): void
  /** Clears the bar. Idempotent. */
  end(): void
}

/** Shortest time between two lines in a pipe. */
const LINE_MS = 5_000
const BAR_CELLS = 24

export function createProgress(
  stream: ProgressStream,
  nowMs: () => number = () => performance.now(),
): Progress {
  let shownAtMs = nowMs()
  let isOpen = false
  return {
    show(text, done, total): void {
      const share = total <= 0 ? 0 : Math.min(1, done / total)
      if (stream.isTTY === true) {
        const cells = Math.round(share * BAR_CELLS)
        const bar = `${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}`
        stream.write(`\r\x1b[K${text} [${bar}] ${done}/${total}`)
        isOpen = true
      } else if (nowMs() - shownAtMs >= LINE_MS) {
        shownAtMs = nowMs()
        stream.write(`${text} ${done}/${total}\n`)
      }
    },
    end(): void {
      if (isOpen) stream.write('\r\x1b[K')
      isOpen = false
    },
  }
}
