/** The S3 listener on top of a client: the same in every process that has one. */
import type { ConnectedClient } from '@cairn/client'
import {
  createAccountGuard,
  createGateway,
  type Gateway,
  type GatewayConfig,
  type TlsIdentity,
} from '@cairn/gateway'
import { type Config, ConfigError } from '../config.js'
import { endpointOf, schemeOf } from '../endpoint.js'
import { registerAdminPaths } from '../http/admin-paths.js'
import { registerOwnPaths } from '../http/own-paths.js'
import type { Settings } from '../settings.js'
import { readTlsFiles, type TlsPaths, watchTlsFiles } from '../tls-files.js'
import { rootCredentialStore, rootCredentialsOf } from './credentials.js'
import type { RoleEnvironment } from './environment.js'
import { addGatewayMetrics } from './gateway-metrics.js'

export interface GatewayListener {
  readonly gateway: Gateway
  /** Of CAIRN_PORT. */
  readonly endpoint: string
  /** Of CAIRN_PLAIN_PORT, if it is open. */
  readonly plainEndpoint?: string
  readonly accessKey: string
  readonly secretKey: string
  /** Drains and closes all ports. */
  close(): Promise<void>
}

export interface GatewayListenerOptions {
  readonly client: ConnectedClient
  readonly findTrouble: () => Promise<string | undefined>
}

/** Listens on the configured host and port. */
export async function listenGateway(
  environment: RoleEnvironment,
  { client, findTrouble }: GatewayListenerOptions,
): Promise<GatewayListener> {
  const { config, clock, random, log, metrics } = environment
  const root = rootCredentialsOf(config, random)
  const tls = tlsPathsOf(config)
  const credentials = rootCredentialStore(root)
  const gatewayConfig = gatewayConfigOf(config)
  const guard = createAccountGuard({ config: gatewayConfig, credentials, clock })
  const gateway = createGateway({
    client,
    config: gatewayConfig,
    credentials,
    clock,
    random,
    log,
    observe: (sample) => metrics.observeRequest(sample),
    registerOwnPaths: (app) => {
      registerOwnPaths(app, { metrics, metricsToken: config.metricsToken, host: config.host, findTrouble })
      registerAdminPaths(app, { admin: client.admin, guard, accessKey: root.accessKey, clock })
    },
    ...(tls === undefined ? {} : { tls: readIdentity(tls, environment) }),
  })
  addGatewayMetrics(metrics, gateway)
  const { host, plainPort } = config
  const found = await gateway.listen({ host, port: config.port, plainPort })
  const stopWatching = tls === undefined ? () => undefined : watchIdentity(tls, gateway, environment)
  return {
    gateway,
    endpoint: endpointOf(host, found.port, schemeOf(config)),
    ...(found.plainPort === undefined ? {} : { plainEndpoint: endpointOf(host, found.plainPort) }),
    ...root,
    async close() {
      stopWatching()
      await gateway.close()
    },
  }
}

function gatewayConfigOf(config: Config): GatewayConfig {
  return {
    region: config.region,
    publicEndpoints: config.publicEndpoints,
    trustedProxies: config.trustedProxies,
    compatibility: config.compatibility,
    ...(config.domain === undefined ? {} : { domain: config.domain }),
    ...(config.landingPage === undefined ? {} : { landingPage: config.landingPage }),
  }
}

function tlsPathsOf({ tlsCert, tlsKey }: Settings): TlsPaths | undefined {
  return tlsCert === undefined || tlsKey === undefined ? undefined : { tlsCert, tlsKey }
}

function readIdentity(paths: TlsPaths, { certificates }: RoleEnvironment): TlsIdentity {
  const { identity, mistakes } = readTlsFiles(paths)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  certificates.show('s3', () => identity.cert)
  return identity
}

/** A renewed certificate serves new connections; one that is no good is told of, and the old one stays. */
function watchIdentity(paths: TlsPaths, gateway: Gateway, environment: RoleEnvironment): () => void {
  const { clock, log, certificates } = environment
  return watchTlsFiles({
    paths,
    clock,
    apply: (identity) => {
      gateway.setTlsIdentity(identity)
      certificates.show('s3', () => identity.cert)
    },
    onRefused: (mistakes) => log.error({ mistakes }, 'new certificate refused, the old one stays'),
    onChanged: ({ subject, validTo }) => log.info({ subject, validTo }, 'new certificate'),
  })
}

/** What a process with an S3 listener says when it is ready. The secret is never printed. */
export function gatewayLines(listener: GatewayListener): readonly string[] {
  const { accessKey, endpoint, plainEndpoint } = listener
  const endpoints = plainEndpoint === undefined ? [endpoint] : [endpoint, plainEndpoint]
  return [`Access key: ${accessKey}`, ...endpoints.map((url) => `S3 endpoint: ${url}`)]
}
