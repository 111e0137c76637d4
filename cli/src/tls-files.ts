/** The certificate and its key as files: read and checked at the start, and again whenever they change. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { TlsIdentity } from '@cairn/gateway'
import type { Clock } from '@cairn/protocol'

/** Where the two files lie. */
export interface TlsPaths {
  readonly tlsCert: string
  readonly tlsKey: string
}

/** How often the files are looked at. */
const LOOK_MS = 1_000

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** The pair, and everything that is wrong with it; a pair with mistakes is not usable. */
export interface ReadTls {
  readonly identity: TlsIdentity
  /** Of the first certificate of the chain. */
  readonly leaf: X509Certificate | undefined
  readonly mistakes: readonly string[]
}

/** Reads both files and lists every mistake. */
export function readTlsFiles(paths: TlsPaths): ReadTls {
  const mistakes: string[] = []
  const cert = readText('CAIRN_TLS_CERT', paths.tlsCert, mistakes)
  const key = readText('CAIRN_TLS_KEY', paths.tlsKey, mistakes)
  const leaf = cert === undefined ? undefined : readChain(cert, mistakes)
  const privateKey = key === undefined ? undefined : readKey(key, mistakes)
  if (leaf !== undefined && privateKey !== undefined && !leaf.checkPrivateKey(privateKey)) {
    mistakes.push('CAIRN_TLS_KEY: is not the key of the first certificate in CAIRN_TLS_CERT')
  }
  return { identity: { cert: cert ?? '', key: key ?? '' }, leaf, mistakes }
}

function readText(variable: string, path: string, mistakes: string[]): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    mistakes.push(`${variable}: ${(error as Error).message}`)
    return undefined
  }
}

function readChain(cert: string, mistakes: string[]): X509Certificate | undefined {
  const chain = cert.match(CERTIFICATE) ?? []
  try {
    const [leaf] = chain.map((pem) => new X509Certificate(pem))
    if (leaf !== undefined) return leaf
    mistakes.push('CAIRN_TLS_CERT: holds no PEM certificate')
  } catch (error) {
    mistakes.push(`CAIRN_TLS_CERT: holds a certificate that cannot be read: ${(error as Error).message}`)
  }
  return undefined
}

function readKey(key: string, mistakes: string[]): KeyObject | undefined {
  try {
    return createPrivateKey(key)
  } catch (error) {
    const locked = (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE'
    const why = locked ? 'is locked by a passphrase' : 'holds no PEM private key'
    mistakes.push(`CAIRN_TLS_KEY: ${why}`)
    return undefined
  }
}

export interface TlsWatch {
  readonly paths: TlsPaths
  readonly clock: Clock
  /** Takes the new pair; may throw. */
  readonly apply: (identity: TlsIdentity) => void
  readonly onRefused: (mistakes: readonly string[]) => void
  readonly onChanged: (leaf: X509Certificate) => void
}

/** Looks at both files every second and hands a changed, whole pair over. @returns stops it */
export function watchTlsFiles(watch: TlsWatch): () => void {
  let seen = stampOf(watch.paths)
  let cancel = watch.clock.setTimer(LOOK_MS, look)
  function look(): void {
    const stamp = stampOf(watch.paths)
    if (stamp !== seen) {
      seen = stamp
      takeChanged(watch)
    }
    cancel = watch.clock.setTimer(LOOK_MS, look)
  }
  return () => cancel()
}

function takeChanged({ paths, apply, onRefused, onChanged }: TlsWatch): void {
  const { identity, leaf, mistakes } = readTlsFiles(paths)
  if (leaf === undefined || mistakes.length > 0) {
    onRefused(mistakes)
    return
  }
  try {
    apply(identity)
    onChanged(leaf)
  } catch (error) {
    onRefused([(error as Error).message])
  }
}

/** Changes with every write, rename or new target of a link; also while a file is away. */
function stampOf(paths: TlsPaths): string {
  return [paths.tlsCert, paths.tlsKey]
    .map((path) => {
      try {
        const facts = statSync(path, { bigint: true })
        return `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeNs}`
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? 'unknown'
      }
    })
    .join(', ')
}
