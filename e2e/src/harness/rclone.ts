import type { Server } from './server.js'

/** Variables that make `cairn:` a remote of rclone; `caFile` is the authority to trust over HTTPS. */
export function rcloneEnv(
  server: Pick<Server, 'endpoint' | 'accessKey' | 'secretKey'>,
  caFile?: string,
): Record<string, string | undefined> {
  return {
    RCLONE_CONFIG_CAIRN_TYPE: 's3',
    RCLONE_CONFIG_CAIRN_PROVIDER: 'Other',
    RCLONE_CONFIG_CAIRN_ACCESS_KEY_ID: server.accessKey,
    RCLONE_CONFIG_CAIRN_SECRET_ACCESS_KEY: server.secretKey,
    RCLONE_CONFIG_CAIRN_ENDPOINT: server.endpoint,
    RCLONE_CONFIG_CAIRN_REGION: 'us-east-1',
    RCLONE_CONFIG: '/dev/null',
    ...(caFile === undefined ? {} : { RCLONE_CA_CERT: caFile }),
    // Its HTTP client refuses a bundle given in the AWS way.
    AWS_CA_BUNDLE: undefined,
  }
}
