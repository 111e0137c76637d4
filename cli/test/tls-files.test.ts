import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TlsIdentity } from '@cairn/gateway'
import { type Clock, systemClock } from '@cairn/protocol'
import { expect } from 'chai'
import { ConfigError, readConfig } from '../src/config.js'
import { readTlsFiles, watchTlsFiles } from '../src/tls-files.js'

describe('TLS files', () => {
  let folder: string
  const at = (name: string): string => join(folder, name)
  const pair = (name: string) => ({ tlsCert: at(`${name}.pem`), tlsKey: at(`${name}.key`) })

  before(function () {
    this.timeout(60_000)
    folder = mkdtempSync(join(tmpdir(), 'cairn-tls-'))
    try {
      for (const name of ['one', 'two']) {
        const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
        const args = ['req', '-x509', ...key, '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)]
        execFileSync('openssl', [...args, '-days', '2', '-subj', `/CN=${name}`], { stdio: 'ignore' })
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') this.skip()
      throw error
    }
    writeFileSync(at('text.pem'), 'nothing of use')
    writeFileSync(at('broken.pem'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
  })

  after(() => rmSync(folder, { recursive: true, force: true }))

  it('are read as a pair', () => {
    const { leaf, mistakes } = readTlsFiles(pair('one'))
    expect([leaf?.subject, mistakes]).to.deep.equal(['CN=one', []])
  })

  it('are refused with every mistake in them', () => {
    const found = (tlsCert: string, tlsKey: string) =>
      readTlsFiles({ tlsCert: at(tlsCert), tlsKey: at(tlsKey) }).mistakes
    expect(found('none', 'none')).to.have.length(2)
    expect(found('text.pem', 'text.pem')).to.deep.equal([
      'CAIRN_TLS_CERT: holds no PEM certificate',
      'CAIRN_TLS_KEY: holds no PEM private key',
    ])
    expect(found('broken.pem', 'one.key')[0]).to.match(
      /^CAIRN_TLS_CERT: holds a certificate that cannot be read/,
    )
    expect(found('one.pem', 'two.key')).to.deep.equal([
      'CAIRN_TLS_KEY: is not the key of the first certificate in CAIRN_TLS_CERT',
    ])
  })

  it('are told among the other mistakes of a start, and only of a start', () => {
    const env = { CAIRN_TLS_CERT: at('none'), CAIRN_TLS_KEY: at('one.key'), CAIRN_PORT: 'x' }
    expect(mistakesOf(env, true)).to.have.length(2)
    expect(mistakesOf(env, false)).to.have.length(1)
    expect(mistakesOf({ CAIRN_TLS_CERT: 'x' }, false)).to.deep.equal([
      'CAIRN_TLS_CERT and CAIRN_TLS_KEY: give both or neither',
    ])
    expect(mistakesOf({ CAIRN_PLAIN_PORT: '0' }, false)[0]).to.include('CAIRN_PLAIN_PORT')
    const same = { CAIRN_TLS_CERT: 'x', CAIRN_TLS_KEY: 'y', CAIRN_PLAIN_PORT: '9000' }
    expect(mistakesOf(same, false)).to.deep.equal(['CAIRN_PLAIN_PORT: must differ from CAIRN_PORT'])
  })

  it('are taken when they have changed and fit, and the old ones stay otherwise', () => {
    const watched = pair('watched')
    const write = (cert: string, key: string): void => {
      writeFileSync(watched.tlsCert, readTlsFiles(pair(cert)).identity.cert)
      writeFileSync(watched.tlsKey, readTlsFiles(pair(key)).identity.key)
    }
    write('one', 'one')
    const { clock, tick } = steppedClock()
    const taken: TlsIdentity[] = []
    const refused: (readonly string[])[] = []
    const stop = watchTlsFiles({
      paths: watched,
      clock,
      apply: (identity) => taken.push(identity),
      onRefused: (mistakes) => refused.push(mistakes),
      onChanged: () => undefined,
    })
    tick()
    expect([taken.length, refused.length]).to.deep.equal([0, 0])
    write('two', 'one')
    tick()
    tick()
    expect([taken.length, refused.length]).to.deep.equal([0, 1])
    rmSync(watched.tlsKey)
    tick()
    expect([taken.length, refused.length]).to.deep.equal([0, 2])
    write('two', 'two')
    tick()
    tick()
    expect([taken.length, refused.length]).to.deep.equal([1, 2])
    stop()
  })
})

function mistakesOf(env: Record<string, string>, checkFiles: boolean): readonly string[] {
  try {
    readConfig({ argv: [], env, checkFiles })
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
  return []
}

/** A clock whose one timer runs when it is told to. */
function steppedClock(): { readonly clock: Clock; tick(): void } {
  let pending: (() => void) | undefined
  const clock: Clock = {
    ...systemClock,
    setTimer(_delayMs, task) {
      pending = task
      return () => {
        pending = undefined
      }
    },
  }
  return {
    clock,
    tick() {
      const task = pending
      pending = undefined
      task?.()
    },
  }
}
