/** Addresses and secrets of roles that run apart. */
import { hostname } from 'node:os'
import type { Config } from '../config.js'
import { isEveryInterface } from '../endpoint.js'

/** Ports of health and metrics of the roles without an S3 listener, unless CAIRN_HTTP_PORT says otherwise. */
export const HTTP_PORTS: { readonly metadata: number; readonly chunk: number } = {
  metadata: 9101,
  chunk: 9201,
}

/** Where a service listens: the configured port, or the role's own. */
export function bindAddress(config: Config, port: number): string {
  return joinAddress(config.host, config.rpcPort ?? port)
}

/** The port of a `host:port` address. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** By what name people and placement know the host of a role. */
export function hostNameOf({ advertise }: Config): string {
  return advertise ?? hostname()
}

/** Where others reach this process: by the name of this host where it listens on every interface. */
export function advertisedHost({ advertise, host }: Pick<Config, 'advertise' | 'host'>): string {
  return advertise ?? (isEveryInterface(host) ? hostname() : host)
}

/** What others connect to: the advertised host with the real port. */
export function advertisedAddress(config: Config, address: string): string {
  return joinAddress(advertisedHost(config), portOf(address))
}

/** The secret of the cluster; its id is learnt from the metadata service. */
export function clusterSecretOf(config: Config): { clusterId: string; clusterSecret: string } {
  return { clusterId: '', clusterSecret: config.clusterSecret ?? '' }
}

function joinAddress(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
