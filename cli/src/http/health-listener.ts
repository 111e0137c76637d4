/** Health, metrics and inspection of a process without an S3 listener. */
import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { endpointOf } from '../endpoint.js'
import type { RoleEnvironment } from '../roles/environment.js'
import { registerOwnPaths } from './own-paths.js'

export interface HealthListener {
  readonly endpoint: string
  close(): Promise<void>
}

export interface HealthOptions {
  /** Used unless CAIRN_HTTP_PORT says otherwise. */
  readonly port: number
  readonly findTrouble: () => Promise<string | undefined>
  readonly inspect: () => object
}

/** Listens on the configured host. */
export async function listenHealth(
  environment: RoleEnvironment,
  { port: fallbackPort, findTrouble, inspect }: HealthOptions,
): Promise<HealthListener> {
  const { config, metrics } = environment
  const app = fastify({ logger: false, forceCloseConnections: true })
  const { host, metricsToken } = config
  registerOwnPaths(app, { metrics, metricsToken, host, findTrouble, inspect })
  await app.listen({ host, port: config.httpPort ?? fallbackPort })
  const { port } = app.server.address() as AddressInfo
  return { endpoint: endpointOf(config.host, port), close: () => app.close() }
}
