import { CairnError } from '../errors.js'

const HOST_AND_PORT = /^(?:\[(?<six>[0-9A-Fa-f:.%\w]+)\]|(?<name>[^:[\]/\s]+)):(?<port>\d{1,5})$/

/** Where a TCP service listens; `host` is a name or an address without brackets. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** Parses `host:port` or `[IPv6]:port`; throws `InvalidArgument`. */
export function parseAddress(address: string): HostAndPort {
  const { six, name, port: digits } = HOST_AND_PORT.exec(address)?.groups ?? {}
  const host = six ?? name
  const port = Number(digits)
  if (host === undefined || port > 65_535) {
    throw new CairnError('InvalidArgument', `not host:port: ${address.slice(0, 80)}`)
  }
  return { host, port }
}

/** The inverse of `parseAddress`. */
export function formatAddress({ host, port }: HostAndPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
