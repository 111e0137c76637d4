/** `cairn env`: the exports that point AWS tools at this server. `eval "$(cairn env)"`. */
import { systemRandom } from '@cairn/protocol'
import type { Config } from '../config.js'
import { loadRootCredentials } from '../data-folder.js'
import { endpointOf } from '../endpoint.js'

export function env(config: Config): string {
  const credentials =
    config.rootAccessKey !== undefined && config.rootSecretKey !== undefined
      ? { accessKey: config.rootAccessKey, secretKey: config.rootSecretKey }
      : loadRootCredentials(config.dataDir, systemRandom)
  const lines = {
    AWS_ACCESS_KEY_ID: credentials.accessKey,
    AWS_SECRET_ACCESS_KEY: credentials.secretKey,
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
    AWS_ENDPOINT_URL: endpointOf(config.host, config.port),
  }
  return Object.entries(lines)
    .map(([name, value]) => `export ${name}=${quote(value)}`)
    .join('\n')
}

function quote(text: string): string {
  return /^[A-Za-z0-9_./:@%+=[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
