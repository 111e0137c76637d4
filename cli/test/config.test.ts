import { mkdtempSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { ConfigError, readConfig } from '../src/config.js'

function mistakes(argv: string[], env: Record<string, string> = {}): readonly string[] {
  try {
    readConfig({ argv, env })
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
  return []
}

function temporaryFile(name: string, content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'cairn-config-')), name)
  writeFileSync(path, content)
  return path
}

describe('readConfig', () => {
  it('gives the defaults of the contract', () => {
    const { config, warnings } = readConfig({ argv: [], env: {} })
    expect(config).to.include({
      dataDir: './data',
      host: '127.0.0.1',
      port: 9000,
      region: 'us-east-1',
      role: 'all',
    })
    expect(config).to.include({ durability: 'fsync', gcGraceSeconds: 600, orphanGraceSeconds: 86_400 })
    expect(config.drives).to.deep.equal({ count: 3 })
    expect(warnings).to.deep.equal([])
  })

  it('lets flags win over variables and variables over the file', () => {
    const file = temporaryFile('cairn.yaml', 'port: 1\nregion: from-file\ndata-dir: from-file\n')
    const env = { CAIRN_PORT: '2', CAIRN_REGION: 'from-env' }
    const { config } = readConfig({ argv: ['--config', file, '--port', '3'], env })
    expect(config).to.include({ port: 3, region: 'from-env', dataDir: 'from-file' })
  })

  it('lists all mistakes at once', () => {
    const env = {
      CAIRN_PORT: '70000',
      CAIRN_DURABILITY: 'maybe',
      CAIRN_ROOT_ACCESS_KEY: 'abc',
      CAIRN_DRIVES: '0',
    }
    const found = mistakes(['--role', 'king'], env)
    expect(found).to.have.length(5)
    expect(found.join('\n')).to.match(
      /CAIRN_PORT[\s\S]*CAIRN_DURABILITY[\s\S]*--role[\s\S]*SECRET_KEY[\s\S]*CAIRN_DRIVES/,
    )
  })

  it('refuses unknown flags and unknown settings of the file, and warns of unknown variables', () => {
    expect(mistakes(['--prot', '1'])).to.have.length(1)
    expect(mistakes(['--config', temporaryFile('c.yaml', 'prot: 1\n')])[0]).to.contain(
      'unknown setting "prot"',
    )
    expect(readConfig({ argv: [], env: { CAIRN_PROT: '1' } }).warnings[0]).to.contain('CAIRN_PROT')
  })

  it('warns of a server that listens everywhere, and is not told by which name others come', () => {
    const settings = { CAIRN_CLUSTER_SECRET: 'x'.repeat(32), CAIRN_METADATA: 'a:1', CAIRN_HOST: '0.0.0.0' }
    const warningsOf = (role: string, env: Record<string, string>): readonly string[] =>
      readConfig({ argv: ['--role', role], env }).warnings
    for (const role of ['chunk', 'metadata']) {
      expect(warningsOf(role, settings)).to.deep.equal([
        `CAIRN_ADVERTISE: not given; others are told to come to ${hostname()}`,
      ])
      expect(warningsOf(role, { ...settings, CAIRN_ADVERTISE: 'chunk-1' })).to.deep.equal([])
      expect(warningsOf(role, { ...settings, CAIRN_HOST: '10.0.0.2' })).to.deep.equal([])
    }
  })

  it('warns of a gateway whose keys no other gateway knows', () => {
    const settings = { CAIRN_CLUSTER_SECRET: 'x'.repeat(32), CAIRN_METADATA: 'a:1' }
    const keys = { CAIRN_ROOT_ACCESS_KEY: 'access-key', CAIRN_ROOT_SECRET_KEY: 'secret-key' }
    const warningsOf = (env: Record<string, string>): readonly string[] =>
      readConfig({ argv: ['--role', 'gateway'], env }).warnings
    expect(warningsOf(settings)[0]).to.match(/unknown to other gateways$/)
    expect(warningsOf({ ...settings, ...keys })).to.deep.equal([])
  })

  it('sets compatibility switches together and alone', () => {
    const { compatibility } = readConfig({
      argv: ['--compat', 'suites'],
      env: { CAIRN_COMPAT_RAW_METADATA: 'off' },
    }).config
    expect(compatibility).to.include({ writeConditions: true, rawMetadata: false })
    expect(readConfig({ argv: [], env: {} }).config.compatibility).to.include({ writeConditions: false })
    expect(mistakes([], { CAIRN_COMPAT_RAW_METADATA: 'yes' })[0]).to.contain('CAIRN_COMPAT_RAW_METADATA')
  })

  it('reads secrets from files', () => {
    const path = temporaryFile('secret', 'a secret of some length\n')
    const env = { CAIRN_ROOT_ACCESS_KEY: 'root', CAIRN_ROOT_SECRET_KEY_FILE: path }
    expect(readConfig({ argv: [], env }).config.rootSecretKey).to.equal('a secret of some length')
    expect(mistakes([], { CAIRN_CLUSTER_SECRET_FILE: '/nowhere' })[0]).to.contain('CAIRN_CLUSTER_SECRET_FILE')
  })

  it('needs a cluster secret and the metadata address as soon as roles run apart', () => {
    expect(mistakes(['--role', 'chunk']).join())
      .to.contain('CAIRN_CLUSTER_SECRET')
      .and.contain('CAIRN_METADATA')
    const env = { CAIRN_CLUSTER_SECRET: 's'.repeat(32), CAIRN_METADATA: 'host:9100,[::1]:9100' }
    expect(readConfig({ argv: ['--role', 'gateway'], env }).config.metadata).to.have.length(2)
    expect(mistakes([], { CAIRN_CLUSTER_SECRET: 'short' })[0]).to.contain('32 bytes')
  })

  it('takes drives as a number or as folders, and no more replicas than drives', () => {
    expect(readConfig({ argv: ['--drives', '/a,/b'], env: {} }).config.drives).to.deep.equal({
      folders: ['/a', '/b'],
    })
    expect(mistakes(['--drives', '/a,/a'])[0]).to.contain('twice')
    expect(mistakes(['--drives', '2', '--replicas', '3'])[0]).to.contain('CAIRN_REPLICAS')
  })
})
