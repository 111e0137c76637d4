/** How far a long command is: one line that is rewritten on a terminal, else a plain line now and then. */

/** Time between two lines in a pipe, and between two rewrites on a terminal. */
const LINE_MS = 5_000
const REWRITE_MS = 100

export interface Progress {
  show(step: string, done: number): void
  /** Leaves the terminal's line. */
  end(): void
}

/** Writes to `stream`, so that stdout holds only results. */
export function createProgress(stream: typeof process.stderr): Progress {
  const everyMs = stream.isTTY ? REWRITE_MS : LINE_MS
  let nextMs = performance.now() + everyMs
  let isOpen = false
  return {
    show(step, done) {
      if (performance.now() < nextMs) return
      nextMs = performance.now() + everyMs
      isOpen = stream.isTTY
      const text = `${step}: ${done.toLocaleString('en')}`
      stream.write(stream.isTTY ? `\r\x1b[K${text}` : `${text}\n`)
    },
    end() {
      if (isOpen) stream.write('\r\x1b[K')
      isOpen = false
    },
  }
}
