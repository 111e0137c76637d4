/** The scheme of CAIRN_PORT: with a certificate it speaks HTTPS only. */
export function schemeOf(settings: { readonly tlsCert: string | undefined }): 'http' | 'https' {
  return settings.tlsCert === undefined ? 'http' : 'https'
}

/** The URL under which a listener is reached; IPv6 addresses get their brackets, wildcards become loopback. */
export function endpointOf(host: string, port: number, scheme: 'http' | 'https' = 'http'): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

/** An address to listen on that is none to connect to. */
export function isEveryInterface(host: string): boolean {
  return ['0.0.0.0', '::', '*'].includes(host)
}
