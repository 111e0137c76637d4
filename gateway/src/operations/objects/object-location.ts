import { findVirtualBucket } from '../../http/request-target.js'
import type { OperationContext } from '../types.js'

type LocationFacts = Pick<OperationContext, 'bucket' | 'key' | 'headers' | 'config' | 'secureTransport'>

/** The URL of the object under the host that the request came to. */
export function objectLocation({ bucket, key, headers, config, secureTransport }: LocationFacts): string {
  const host = headers.host ?? 'localhost'
  const isInHost = findVirtualBucket(host, config.domain) !== undefined
  const path = (isInHost ? key : `${bucket}/${key}`).split('/').map(encodeURIComponent).join('/')
  return `${secureTransport ? 'https' : 'http'}://${host}/${path}`
}
