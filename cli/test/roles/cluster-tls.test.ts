import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClusterTlsSource } from '@cairn/protocol'
import { createSeededRandom, createSimulatedClock } from '@cairn/protocol/simulation'
import { expect } from 'chai'
import { type Config, ConfigError, readConfig } from '../../src/config.js'
import { openLog } from '../../src/log.js'
import { createMetrics } from '../../src/metrics.js'
import { CertificateEnds } from '../../src/roles/certificate-ends.js'
import { openClusterTls } from '../../src/roles/cluster-tls.js'

describe('certificates of the cluster', () => {
  const clock = createSimulatedClock(createSeededRandom(3))
  const log = openLog('silent')
  const certificates = new CertificateEnds(clock, log)
  let folder: string
  const at = (name: string): string => join(folder, name)

  function issue(name: string, role: string): void {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.pem`), '-days', '2']
    const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=URI:cairn:role/${role}`]
    execFileSync('openssl', ['req', '-x509', ...key, ...files, ...names], { stdio: 'ignore' })
  }

  before(function () {
    this.timeout(60_000)
    folder = mkdtempSync(join(tmpdir(), 'cairn-cluster-tls-'))
    issue('chunk', 'chunk')
    issue('other', 'chunk')
    issue('gateway', 'gateway')
    writeFileSync(at('text.pem'), 'nothing of use')
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  function configOf(files: Readonly<Record<string, string>>, role = 'chunk'): Config {
    const env = {
      CAIRN_CLUSTER_SECRET: 's'.repeat(32),
      CAIRN_METADATA: '127.0.0.1:9100',
      ...Object.fromEntries(Object.entries(files).map(([name, file]) => [`CAIRN_CLUSTER_${name}`, at(file)])),
    }
    return readConfig({ argv: ['--role', role], env }).config
  }

  function mistakesOf(act: () => unknown): readonly string[] {
    try {
      act()
    } catch (error) {
      if (error instanceof ConfigError) return error.mistakes
      throw error
    }
    return []
  }

  function open(files: Readonly<Record<string, string>>, role = 'chunk'): ClusterTlsSource | undefined {
    return openClusterTls({ config: configOf(files, role), clock, log, certificates })
  }

  const GOOD = { CA: 'chunk.pem', CERT: 'chunk.pem', KEY: 'chunk.key' }

  it('are not needed', () => {
    expect(open({})).to.equal(undefined)
  })

  it('are given all or none', () => {
    for (const name of ['CA', 'CERT', 'KEY'] as const) {
      const { [name]: _left, ...rest } = GOOD
      expect(mistakesOf(() => configOf(rest))).to.deep.equal([
        'CAIRN_CLUSTER_CA, CAIRN_CLUSTER_CERT and CAIRN_CLUSTER_KEY: give all or none',
      ])
    }
  })

  it('are refused with every mistake in them', () => {
    const none = { CA: 'none', CERT: 'none', KEY: 'none' }
    expect(mistakesOf(() => open(none))).to.have.length(3)
    const text = { CA: 'text.pem', CERT: 'text.pem', KEY: 'text.pem' }
    expect(mistakesOf(() => open(text))).to.deep.equal([
      'CAIRN_CLUSTER_CERT: holds no PEM certificate',
      'CAIRN_CLUSTER_CA: holds no PEM certificate',
      'CAIRN_CLUSTER_KEY: holds no PEM private key',
    ])
    expect(mistakesOf(() => open({ ...GOOD, KEY: 'gateway.key', CERT: 'gateway.pem' }))).to.deep.equal([
      'CAIRN_CLUSTER_CERT: does not name URI:cairn:role/chunk among its subject alternative names',
    ])
    expect(mistakesOf(() => open({ ...GOOD, KEY: 'other.key' }))).to.deep.equal([
      'CAIRN_CLUSTER_KEY: is not the key of the first certificate in CAIRN_CLUSTER_CERT',
    ])
  })

  it('are read again when they have changed and fit, and stay otherwise', async () => {
    for (const end of ['pem', 'key']) copyFileSync(at(`chunk.${end}`), at(`live.${end}`))
    const source = open({ CA: 'chunk.pem', CERT: 'live.pem', KEY: 'live.key' })
    const first = source?.current()
    const metrics = createMetrics()
    certificates.addTo(metrics)
    expect(await metrics.render()).to.match(
      /^cairn_certificate_not_after_timestamp_seconds\{use="cluster"\} \d+$/m,
    )
    const later = async (): Promise<unknown> => {
      await clock.runUntil(new Promise<void>((resolve) => clock.setTimer(2_000, resolve)))
      return source?.current()
    }
    expect(await later()).to.equal(first)
    copyFileSync(at('other.pem'), at('live.pem'))
    expect(await later()).to.equal(first)
    copyFileSync(at('other.key'), at('live.key'))
    utimesSync(at('live.key'), 1, 1)
    const second = await later()
    expect(second).to.not.deep.equal(first)
    expect(await later()).to.equal(second)
    // An error of the file system that binds root too.
    rmSync(at('live.pem'))
    symlinkSync('live.pem', at('live.pem'))
    expect(await later()).to.equal(second)
  })
})
