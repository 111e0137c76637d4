/** The URL under which a listener is reached; IPv6 addresses get their brackets, wildcards become loopback. */
export function endpointOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
