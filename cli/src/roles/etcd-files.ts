/** The certificates for etcd as files: read at the start, and again whenever one of them changes. */
import { readFileSync, statSync } from 'node:fs'
import type { EtcdTls } from '@cairn/metadata-service'
import { type Config, ConfigError } from '../config.js'
import type { RoleEnvironment } from './environment.js'

const FILES = [
  ['ca', 'etcdCa', 'CAIRN_ETCD_CA'],
  ['cert', 'etcdCert', 'CAIRN_ETCD_CERT'],
  ['key', 'etcdKey', 'CAIRN_ETCD_KEY'],
] as const

/** `undefined` when no file is configured. `ConfigError` with all that cannot be read. */
export function readEtcdFiles({
  config,
  certificates,
}: Pick<RoleEnvironment, 'config' | 'certificates'>): EtcdTls | undefined {
  const mistakes: string[] = []
  const found: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {}
  for (const [part, setting, variable] of FILES) {
    const path = config[setting]
    if (path === undefined) continue
    try {
      found[part] = readFileSync(path)
    } catch (error) {
      mistakes.push(`${variable}: ${(error as Error).message}`)
    }
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  const path = config.etcdCert
  if (path !== undefined) certificates.show('etcd', () => readFileSync(path))
  return Object.keys(found).length === 0 ? undefined : found
}

/** Gives the certificates anew each time that they have changed since the last call. */
export function changedEtcdFiles(environment: RoleEnvironment): () => EtcdTls | undefined {
  const { config, log } = environment
  let seen = stampOf(config)
  return () => {
    const stamp = stampOf(config)
    if (stamp === seen) return undefined
    seen = stamp
    try {
      const tls = readEtcdFiles(environment)
      log.info('the certificates for etcd have changed')
      return tls
    } catch (err) {
      log.error({ err }, 'the changed certificates for etcd cannot be read')
      return undefined
    }
  }
}

function stampOf(config: Config): string {
  return FILES.map(([, setting]) => {
    const path = config[setting]
    const facts = path === undefined ? undefined : statSync(path, { bigint: true, throwIfNoEntry: false })
    return facts === undefined ? '' : `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeNs}`
  }).join(', ')
}
