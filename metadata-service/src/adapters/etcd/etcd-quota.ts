/** The quota of a member of etcd older than 3.6, which tells it only among its metrics, on the port of its clients. */
import { get as getPlain, type IncomingMessage } from 'node:http'
import { get as getSecure } from 'node:https'
import type { EtcdTls } from './etcd-endpoint.js'
import { METRICS_BYTES_MAX } from './etcd-limits.js'

const QUOTA_LINE = /^etcd_server_quota_backend_bytes (\S+)$/m

/** Where metrics are asked. */
export interface MetricsPlace {
  /** `host:port`. */
  readonly address: string
  /** Absent for a plain connection. */
  readonly tls: EtcdTls | undefined
}

/** `undefined` if the member does not tell, or has none. */
export function findQuotaBytes(place: MetricsPlace, timeoutMs: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const take = (response: IncomingMessage): void => {
      let page = ''
      response.setEncoding('latin1')
      response.on('data', (text: string) => {
        page += text
        if (page.length > METRICS_BYTES_MAX) request.destroy()
      })
      response.on('close', () => resolve(readQuota(page)))
    }
    const options = { signal: AbortSignal.timeout(timeoutMs), agent: false } as const
    const request =
      place.tls === undefined
        ? getPlain(`http://${place.address}/metrics`, options, take)
        : getSecure(`https://${place.address}/metrics`, { ...options, ...place.tls, ...nameOf(place) }, take)
    request.on('error', () => resolve(undefined))
  })
}

/** An address is no name to ask for. */
function nameOf({ address }: MetricsPlace): { readonly servername?: string } {
  return /^(\[|[\d.]+:)/.test(address) ? { servername: '' } : {}
}

/** The quota that a page of metrics tells. */
export function readQuota(page: string): number | undefined {
  const bytes = Number(QUOTA_LINE.exec(page)?.[1])
  return bytes > 0 ? bytes : undefined
}
