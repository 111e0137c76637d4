/**
 * What an acceptance run prints: each figure beside its floor; the process exits 1 if one is below. Floors of times and
 * rates hold on a machine that does nothing else: a sample among other tests prints them and does not fail by them.
 */

/** Figures that the load of the machine moves: times, rates, and counts of what fits into a time. */
export interface TimedReport {
  /** Whether they are held to their floors; where they are not, long measurements of them can be left out. */
  readonly isHeld: boolean
  atLeast(name: string, measured: number, floor: number, unit?: string): void
  atMost(name: string, measured: number, ceiling: number, unit?: string): void
}

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
  /** The same for what a clock has measured. */
  readonly timed: TimedReport
  readonly failures: number
}

function bounds(line: (good: boolean, text: string) => void): Pick<Report, 'atLeast' | 'atMost'> {
  return {
    atLeast: (name, measured, floor, unit = '') =>
      line(measured >= floor, `${name}: measured ${format(measured)}${unit}, floor ${format(floor)}${unit}`),
    atMost: (name, measured, ceiling, unit = '') =>
      line(
        measured <= ceiling,
        `${name}: measured ${format(measured)}${unit}, ceiling ${format(ceiling)}${unit}`,
      ),
  }
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2)
}

/** How strict a report is. */
export interface ReportOptions {
  /** `held` to their floors, as in `npm run show`, or only `printed`, as in samples. */
  readonly times: 'held' | 'printed'
  /** Told of each floor that is missed and only printed. */
  readonly onMissed?: (line: string) => void
}

/** A report that hands each line to `write`. */
export function createReport(
  write: (line: string) => void,
  { times, onMissed }: ReportOptions = { times: 'held' },
): Report {
  let failures = 0
  function line(good: boolean, text: string): void {
    if (!good) failures++
    write(`${good ? 'ok  ' : 'FAIL'}  ${text}`)
  }
  function timed(good: boolean, text: string): void {
    if (times === 'held') line(good, text)
    else write(`      ${text}`)
    if (!good && times === 'printed') onMissed?.(`missed: ${text}`)
  }
  return {
    step: (text) => write(`      ${text}`),
    ...bounds(line),
    timed: { isHeld: times === 'held', ...bounds(timed) },
    holds: (name, holds, detail) => line(holds, detail === undefined ? name : `${name}: ${detail}`),
    figure: (name, measured, unit = '') =>
      write(`      ${name}: ${typeof measured === 'number' ? format(measured) : measured}${unit}`),
    get failures() {
      return failures
    },
  }
}
