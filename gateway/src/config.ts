/** Settings of the gateway, as values: the environment is read by the command alone. */
import { AWS_COMPATIBILITY, type Compatibility } from './compatibility.js'

/** What an operator may set. */
export interface GatewayConfig {
  readonly region: string
  /** Base domain of virtual-host style, without a leading dot; path style only if absent. */
  readonly domain?: string
  /** `host` or `host:port` under which signatures are also tried, for gateways behind a rewriting proxy. */
  readonly publicEndpoints: readonly string[]
  /** Peer addresses whose `X-Forwarded-Host` counts. */
  readonly trustedProxies: readonly string[]
  /** Where an anonymous visit of the root is sent; it is refused without one. */
  readonly landingPage?: string
  readonly compatibility: Compatibility
}

/** Defaults of the contract: `us-east-1`, path style, AWS's behaviour. */
export const DEFAULT_GATEWAY_CONFIG: GatewayConfig = {
  region: 'us-east-1',
  publicEndpoints: [],
  trustedProxies: [],
  compatibility: AWS_COMPATIBILITY,
}
