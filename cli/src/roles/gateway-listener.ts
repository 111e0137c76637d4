/** The S3 listener on top of a client: the same in every process that has one. */
import type { CairnClient } from '@cairn/client'
import { createGateway, type Gateway } from '@cairn/gateway'
import { endpointOf } from '../endpoint.js'
import { registerOwnPaths } from '../http/own-paths.js'
import { rootCredentialStore, rootCredentialsOf } from './credentials.js'
import type { RoleEnvironment } from './environment.js'

export interface GatewayListener {
  readonly gateway: Gateway
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
}

export interface GatewayListenerOptions {
  readonly client: CairnClient
  readonly findTrouble: () => Promise<string | undefined>
}

/** Listens on the configured host and port. */
export async function listenGateway(
  environment: RoleEnvironment,
  { client, findTrouble }: GatewayListenerOptions,
): Promise<GatewayListener> {
  const { config, clock, random, log, metrics } = environment
  const root = rootCredentialsOf(config, random)
  const gateway = createGateway({
    client,
    config: {
      region: config.region,
      publicEndpoints: config.publicEndpoints,
      trustedProxies: config.trustedProxies,
      compatibility: config.compatibility,
      ...(config.domain === undefined ? {} : { domain: config.domain }),
      ...(config.landingPage === undefined ? {} : { landingPage: config.landingPage }),
    },
    credentials: rootCredentialStore(root),
    clock,
    random,
    log,
    observe: (sample) => metrics.observeRequest(sample),
    registerOwnPaths: (app) =>
      registerOwnPaths(app, { metrics, metricsToken: config.metricsToken, findTrouble }),
  })
  const { port } = await gateway.listen({ host: config.host, port: config.port })
  return { gateway, endpoint: endpointOf(config.host, port), ...root }
}

/** What a process with an S3 listener says when it is ready. The secret is never printed. */
export function gatewayLines(listener: GatewayListener): readonly string[] {
  return [`Access key: ${listener.accessKey}`, `S3 endpoint: ${listener.endpoint}`]
}

/** Rejected calls are what "trouble" is made of: the reason in one line. */
export async function probeReads(client: CairnClient): Promise<string | undefined> {
  try {
    await client.listBuckets({ limit: 1 })
    return undefined
  } catch (error) {
    return `metadata does not answer: ${(error as Error).message}`
  }
}
