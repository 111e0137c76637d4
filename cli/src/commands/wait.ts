/** `cairn wait --healthy --timeout 60` and `cairn health`: does S3, or the role named by --role, work here now? */
import type { Config } from '../config.js'
import { askServer } from '../http/ask-server.js'
import { HTTP_PORTS } from '../roles/service-address.js'

const PROBE_INTERVAL_MS = 200
const PROBE_TIMEOUT_MS = 5_000

/** True if the server says that a write and a read would work now. */
export async function isHealthy(config: Config): Promise<boolean> {
  try {
    const { status } = await askServer(listenerOf(config), '/-/health/ready', { timeoutMs: PROBE_TIMEOUT_MS })
    return status === 200
  } catch {
    // Nobody listens, or not in time: both mean "not healthy", whatever the cause.
    return false
  }
}

/** A role without S3 has a listener of its own for health, without TLS. */
function listenerOf(config: Config): Config {
  const { role } = config
  if (role === 'all' || role === 'gateway') return config
  return { ...config, port: config.httpPort ?? HTTP_PORTS[role], tlsCert: undefined, tlsKey: undefined }
}

/** Probes until healthy; false after `timeoutSeconds`. */
export async function waitHealthy(config: Config, timeoutSeconds: number): Promise<boolean> {
  const until = performance.now() + timeoutSeconds * 1000
  while (!(await isHealthy(config))) {
    if (performance.now() >= until) return false
    await new Promise((resolve) => setTimeout(resolve, PROBE_INTERVAL_MS))
  }
  return true
}
