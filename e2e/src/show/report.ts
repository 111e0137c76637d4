/** What an acceptance run prints: each figure beside its floor; the process exits 1 if one is below. */

export interface Report {
  /** A line of what is being done. */
  step(text: string): void
  /** `measured` must be at least `floor`. */
  atLeast(name: string, measured: number, floor: number, unit?: string): void
  /** `measured` must be at most `ceiling`. */
  atMost(name: string, measured: number, ceiling: number, unit?: string): void
  /** A statement that must hold. */
  holds(name: string, holds: boolean, detail?: string): void
  /** A figure without a floor. */
  figure(name: string, measured: number | string, unit?: string): void
  readonly failures: number
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2)
}

export function createReport(write: (line: string) => void): Report {
  let failures = 0
  function line(good: boolean, text: string): void {
    if (!good) failures++
    write(`${good ? 'ok  ' : 'FAIL'}  ${text}`)
  }
  return {
    step: (text) => write(`      ${text}`),
    atLeast: (name, measured, floor, unit = '') =>
      line(measured >= floor, `${name}: measured ${format(measured)}${unit}, floor ${format(floor)}${unit}`),
    atMost: (name, measured, ceiling, unit = '') =>
      line(
        measured <= ceiling,
        `${name}: measured ${format(measured)}${unit}, ceiling ${format(ceiling)}${unit}`,
      ),
    holds: (name, holds, detail) => line(holds, detail === undefined ? name : `${name}: ${detail}`),
    figure: (name, measured, unit = '') =>
      write(`      ${name}: ${typeof measured === 'number' ? format(measured) : measured}${unit}`),
    get failures() {
      return failures
    },
  }
}
