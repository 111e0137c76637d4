import { expect } from 'chai'
import { cpuChart } from '../src/report/chart.js'
import type { Figures } from '../src/report/figures.js'

const FIGURES: Figures = {
  workload: 'PUT <4 KiB>',
  target: 'a & b',
  connections: 64,
  perSecond: 1000,
  megabytesPerSecond: 4,
  keysPerSecond: 0,
  p50Ms: 1,
  p99Ms: 2,
  p999Ms: 3,
  cpuMicros: 500,
  efficiency: 0.5,
  open: [],
  marks: [],
}

describe('cpuChart', () => {
  it('has a title, and a pair of bars for each figure that knows its CPU', () => {
    const { cpuMicros: _, ...withoutCpu } = FIGURES
    const chart = cpuChart([FIGURES, withoutCpu])
    expect(chart).to.match(/^<svg [^>]*>\n<title>[^<]+<\/title>/)
    expect(chart.match(/<rect /g)).to.have.length(2)
    expect(chart).to.contain('a &amp; b: PUT &lt;4 KiB&gt;, 64')
  })
})
