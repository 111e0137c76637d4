import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { pino } from 'pino'
import { createMetrics } from '../../src/metrics.js'
import { CertificateEnds } from '../../src/roles/certificate-ends.js'

const DAY_MS = 86_400_000

describe('ends of certificates', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-certificate-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  function issue(days: number): string {
    const [key, cert] = [join(folder, 'a.key'), join(folder, 'a.pem')]
    const how = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=a']
    const files = ['-keyout', key, '-out', cert, '-days', String(days)]
    execFileSync('openssl', ['req', '-x509', ...how, ...files], { stdio: 'ignore' })
    return readFileSync(cert, 'utf8')
  }

  it('are shown, and told to the log each day from two weeks on', async () => {
    const clock = createSimulatedClock(createSeededRandom(1), Date.now() + DAY_MS / 2)
    const told: { use: string; days: number; msg: string }[] = []
    const log = pino({}, { write: (line: string) => void told.push(JSON.parse(line)) })
    const ends = new CertificateEnds(clock, log)
    const metrics = createMetrics()
    ends.addTo(metrics)
    const show = (use: 's3' | 'etcd', pem: string): void => ends.show(use, () => pem)
    show('s3', issue(16))
    show('etcd', 'not read')
    ends.watch()
    const [, value] =
      /^cairn_certificate_not_after_timestamp_seconds\{use="s3"\} (\d+)$/m.exec(await metrics.render()) ?? []
    expect(Number(value) * 1000 - Date.now()).to.be.within(15 * DAY_MS, 16 * DAY_MS)
    expect(await metrics.render()).to.not.include('use="etcd"')
    expect(told).to.deep.equal([])
    await clock.advance(3.5 * DAY_MS)
    expect(told.map(({ use, days, msg }) => [use, days, msg])).to.deep.equal([
      ['s3', 13, 'a certificate ends soon'],
      ['s3', 12, 'a certificate ends soon'],
    ])
    show('s3', issue(90))
    await clock.advance(30 * DAY_MS)
    expect(told).to.have.length(2)
    await clock.advance(60 * DAY_MS)
    expect(told.at(-1)).to.include({ days: -4, msg: 'a certificate has ended' })
  })
})
