/** `cairn wait --healthy --timeout 60` and `cairn health`: does S3 work on this endpoint now? */
import type { Config } from '../config.js'
import { askServer } from '../http/ask-server.js'

const PROBE_INTERVAL_MS = 200
const PROBE_TIMEOUT_MS = 5_000

/** True if the server says that a write and a read would work now. */
export async function isHealthy(config: Config): Promise<boolean> {
  try {
    const { status } = await askServer(config, '/-/health/ready', { timeoutMs: PROBE_TIMEOUT_MS })
    return status === 200
  } catch {
    // Nobody listens, or not in time: both mean "not healthy", whatever the cause.
    return false
  }
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
