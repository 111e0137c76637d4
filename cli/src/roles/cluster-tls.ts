/** The certificates for mutual TLS between the services as files: checked at the start, read again when they change. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { type ClusterTls, type ClusterTlsSource, rolesInNames } from '@cairn/protocol'
import { type Config, ConfigError } from '../config.js'
import type { RoleEnvironment } from './environment.js'

const FILES = [
  ['ca', 'clusterCa', 'CAIRN_CLUSTER_CA'],
  ['cert', 'clusterCert', 'CAIRN_CLUSTER_CERT'],
  ['key', 'clusterKey', 'CAIRN_CLUSTER_KEY'],
] as const

/** The files are looked at no more often. */
const LOOK_MS = 1_000

/**
 * `undefined` without certificates, and for all roles in one process, which need no network. `ConfigError` with all
 * that is wrong with them.
 */
export function openClusterTls({
  config,
  clock,
  log,
  certificates,
}: Pick<RoleEnvironment, 'config' | 'clock' | 'log' | 'certificates'>): ClusterTlsSource | undefined {
  if (config.role === 'all' || config.clusterCert === undefined) return undefined
  let seen = stampOf(config)
  let current = readClusterTls(config)
  let lookedAtMs = clock.monotonicMs()

  function look(): void {
    const stamp = stampOf(config)
    if (stamp === seen) return
    seen = stamp
    try {
      current = readClusterTls(config)
      log.info({ validTo: new X509Certificate(current.cert).validTo }, 'new cluster certificate')
    } catch (err) {
      log.error({ err }, 'new cluster certificate refused, the old one stays')
    }
  }

  const source = {
    current(): ClusterTls {
      const nowMs = clock.monotonicMs()
      if (nowMs - lookedAtMs >= LOOK_MS) {
        lookedAtMs = nowMs
        look()
      }
      return current
    },
  }
  certificates.show('cluster', () => source.current().cert)
  return source
}

/** Reads the three files; `ConfigError` with every mistake. */
function readClusterTls(config: Config): ClusterTls {
  const mistakes: string[] = []
  const found = { ca: '', cert: '', key: '' }
  for (const [part, setting, variable] of FILES) {
    try {
      found[part] = readFileSync(config[setting] ?? '', 'utf8')
    } catch (error) {
      mistakes.push(`${variable}: ${(error as Error).message}`)
    }
  }
  if (mistakes.length === 0) checkTogether(found, config.role, mistakes)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return found
}

function checkTogether({ ca, cert, key }: ClusterTls, role: string, mistakes: string[]): void {
  const leaf = attempt(
    'CAIRN_CLUSTER_CERT: holds no PEM certificate',
    mistakes,
    () => new X509Certificate(cert),
  )
  attempt('CAIRN_CLUSTER_CA: holds no PEM certificate', mistakes, () => new X509Certificate(ca))
  const privateKey = attempt('CAIRN_CLUSTER_KEY: holds no PEM private key', mistakes, () =>
    createPrivateKey(key),
  )
  if (leaf === undefined || privateKey === undefined) return
  if (!leaf.checkPrivateKey(privateKey)) {
    mistakes.push('CAIRN_CLUSTER_KEY: is not the key of the first certificate in CAIRN_CLUSTER_CERT')
  }
  if (!rolesInNames(leaf.subjectAltName).includes(role)) {
    mistakes.push(
      `CAIRN_CLUSTER_CERT: does not name URI:cairn:role/${role} among its subject alternative names`,
    )
  }
}

function attempt<T>(mistake: string, mistakes: string[], read: () => T): T | undefined {
  try {
    return read()
  } catch {
    mistakes.push(mistake)
    return undefined
  }
}

/** Changes with every write, rename or new target of a link; also while a file is away, or may not be looked at. */
function stampOf(config: Config): string {
  return FILES.map(([, setting]) => {
    try {
      const facts = statSync(config[setting] ?? '', { bigint: true })
      return `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeNs}`
    } catch (error) {
      return (error as NodeJS.ErrnoException).code
    }
  }).join(', ')
}
