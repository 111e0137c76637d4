/** What fails a run, and what only a run that has the machine for itself. */
import { expect } from 'chai'
import { createReport, type ReportOptions } from '../../src/show/report.js'

function reportOf(times: ReportOptions['times']): { lines: string[]; missed: string[]; failures: number } {
  const lines: string[] = []
  const missed: string[] = []
  const report = createReport((line) => lines.push(line), { times, onMissed: (line) => missed.push(line) })
  report.atMost('wrong bytes', 0, 0)
  report.timed.atMost('p99', 12.5, 3, ' ms')
  report.timed.atLeast('share of the probe', 0.5, 0.3)
  return { lines, missed, failures: report.failures }
}

describe('the report of an acceptance run', () => {
  it('fails by a floor of time where times are held', () => {
    const { lines, missed, failures } = reportOf('held')
    expect(failures).to.equal(1)
    expect(lines).to.include('FAIL  p99: measured 12.50 ms, ceiling 3 ms')
    expect(missed).to.deep.equal([])
  })

  it('only prints it, and names what is missed, in a sample', () => {
    const { lines, missed, failures } = reportOf('printed')
    expect(failures).to.equal(0)
    expect(lines).to.include('      share of the probe: measured 0.50, floor 0.30')
    expect(missed).to.deep.equal(['missed: p99: measured 12.50 ms, ceiling 3 ms'])
  })

  it('fails by a count in either', () => {
    const report = createReport(() => undefined, { times: 'printed' })
    report.atMost('wrong bytes', 1, 0)
    report.holds('nothing is lost', false)
    expect(report.failures).to.equal(2)
  })
})
