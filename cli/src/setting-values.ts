/**
 * Values of settings, as they stand in variables, flags and the file: the value, or an Error that completes "NAME: …".
 */
import { isIP } from 'node:net'

/** Either a number of local drives or their folders. */
export type DriveSetting = { readonly count: number } | { readonly folders: readonly string[] }

const CLUSTER_SECRET_BYTES_MIN = 32
const DRIVES_MAX = 64

/** Any text but none at all. */
export function anyText(text: string): string {
  if (text === '') throw new Error('must not be empty')
  return text
}

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new Error(`must be a whole number from ${min} to ${max}, not "${text}"`)
    }
    return value
  }
}

/** One of these words. */
export function choice<T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const found = words.find((word) => word === text)
    if (found === undefined) throw new Error(`must be one of ${words.join(', ')}, not "${text}"`)
    return found
  }
}

/** A number of drives, or a comma list of different folders. */
export function parseDrives(text: string): DriveSetting {
  if (/^\d+$/.test(text)) return { count: whole(0, DRIVES_MAX)(text) }
  const folders = text.split(',').map((folder) => folder.trim())
  if (folders.includes('')) throw new Error('has an empty folder in its list')
  if (new Set(folders).size !== folders.length) throw new Error('names a folder twice')
  return { folders }
}

/** A host name or an address; brackets around it go. */
export function parseHost(text: string): string {
  const bare = text.replace(/^\[(.*)\]$/, '$1')
  if (isIP(bare) === 0 && !/^[A-Za-z0-9.-]+$/.test(bare))
    throw new Error(`is not a host name or address: "${text}"`)
  return bare
}

/** A comma list of host:port. */
export function parseAddresses(text: string): readonly string[] {
  const addresses = text.split(',').map((address) => address.trim())
  for (const address of addresses) {
    if (!/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/.test(address)) {
      throw new Error(`must be a comma list of host:port, not "${address}"`)
    }
  }
  return addresses
}

/** A comma list of host:port, each with or without its scheme. */
export function parseEtcd(text: string): readonly string[] {
  const endpoints = text.split(',').map((endpoint) => endpoint.trim().replace(/\/$/, ''))
  for (const endpoint of endpoints) {
    if (!/^(https?:\/\/)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):\d{1,5}$/.test(endpoint)) {
      throw new Error(`must be a comma list of host:port, http:// or https:// in front, not "${endpoint}"`)
    }
  }
  return endpoints
}

/** A prefix of keys: it begins and ends with a slash. */
export function parsePrefix(text: string): string {
  if (!/^\/[^\0]*$/.test(text)) throw new Error(`must begin with "/", not "${text}"`)
  return text.endsWith('/') ? text : `${text}/`
}

/** A comma list without empty entries. */
export function parseHosts(text: string): readonly string[] {
  const hosts = text.split(',').map((host) => host.trim())
  if (hosts.includes('')) throw new Error('has an empty entry in its list')
  return hosts
}

/** An access key: 3 to 128 printable ASCII characters without a slash. */
export function parseAccessKey(text: string): string {
  if (!/^[\x21-\x2e\x30-\x7e]{3,128}$/.test(text)) {
    throw new Error('must be 3 to 128 printable ASCII characters without "/" or spaces')
  }
  return text
}

/** A secret key: 8 to 128 characters. */
export function parseSecretKey(text: string): string {
  if (text.length < 8 || text.length > 128) throw new Error('must have 8 to 128 characters')
  return text
}

/** At least 32 bytes. */
export function parseClusterSecret(text: string): string {
  if (Buffer.byteLength(text) < CLUSTER_SECRET_BYTES_MIN) {
    throw new Error(`must have at least ${CLUSTER_SECRET_BYTES_MIN} bytes`)
  }
  return text
}
