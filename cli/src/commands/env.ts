/** `cairn env`: the exports that point AWS tools at this server. `eval "$(cairn env)"`. */
import { resolve } from 'node:path'
import type { Config } from '../config.js'
import { endpointOf, schemeOf } from '../endpoint.js'
import { knownRootCredentials } from '../roles/credentials.js'
import { readTlsFiles } from '../tls-files.js'

/** Lines for a shell. `ConfigError` if the keys are neither given nor in the data folder. */
export function env(config: Config): string {
  const credentials = knownRootCredentials(config)
  const lines = {
    AWS_ACCESS_KEY_ID: credentials.accessKey,
    AWS_SECRET_ACCESS_KEY: credentials.secretKey,
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
    AWS_ENDPOINT_URL: endpointOf(config.host, config.port, schemeOf(config)),
  }
  const exported = Object.entries(lines).map(([name, value]) => `export ${name}=${quote(value)}`)
  return [...exported, ...authorityLines(config)].join('\n')
}

/** Who vouches for the certificate: itself, or somebody whom we do not know but AWS tools may have to be told of. */
function authorityLines({ tlsCert, tlsKey }: Config): readonly string[] {
  if (tlsCert === undefined || tlsKey === undefined) return []
  const { leaf } = readTlsFiles({ tlsCert, tlsKey })
  if (leaf?.checkIssued(leaf)) {
    return [`export AWS_CA_BUNDLE=${quote(resolve(tlsCert))}`]
  }
  return [
    '# If tools do not trust the certificate: export AWS_CA_BUNDLE=FILE, with FILE the PEM of its authority',
  ]
}

function quote(text: string): string {
  return /^[A-Za-z0-9_./:@%+=[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
