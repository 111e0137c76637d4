/** Progress of a long command: one line that is rewritten on a terminal, plain lines now and then in a pipe. */

/** Where it is written. */
export interface ProgressStream {
  readonly isTTY?: boolean
  write(text: string): unknown
}

export interface Progress {
  /** A bar, if the total is known. */
  show(text: string, done: number, total?: number): void
  /** Clears the line of a terminal. Idempotent. */
  end(): void
}

/** Shortest time between two lines in a pipe, and between two rewrites on a terminal. */
const LINE_MS = 5_000
const REWRITE_MS = 100
const BAR_CELLS = 24

export function createProgress(
  stream: ProgressStream,
  nowMs: () => number = () => performance.now(),
): Progress {
  const isTerminal = stream.isTTY === true
  let dueAtMs = nowMs() + (isTerminal ? 0 : LINE_MS)
  let isOpen = false
  return {
    show(text, done, total): void {
      if (nowMs() < dueAtMs) return
      dueAtMs = nowMs() + (isTerminal ? REWRITE_MS : LINE_MS)
      isOpen = isTerminal
      stream.write(isTerminal ? `\r\x1b[K${text} ${barOf(done, total)}` : `${text} ${countOf(done, total)}\n`)
    },
    end(): void {
      if (isOpen) stream.write('\r\x1b[K')
      isOpen = false
    },
  }
}

function barOf(done: number, total: number | undefined): string {
  if (total === undefined) return countOf(done, total)
  const cells = total <= 0 ? 0 : Math.round(Math.min(1, done / total) * BAR_CELLS)
  return `[${'#'.repeat(cells)}${'.'.repeat(BAR_CELLS - cells)}] ${countOf(done, total)}`
}

function countOf(done: number, total: number | undefined): string {
  return total === undefined ? done.toLocaleString('en') : `${done}/${total}`
}
