/** Cairn inside a Node program: the same engine as `cairn start`, in this process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from './config.js'
import { openLog } from './log.js'
import { startAll } from './roles/all.js'
import { createEnvironment } from './roles/environment.js'
import type { Settings } from './settings.js'

export { ConfigError } from './config.js'
export type { Settings } from './settings.js'

/** A server inside this process. */
export interface CairnServer {
  /** For example `http://127.0.0.1:40123`. */
  readonly endpoint: string
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
  /** Drains at most 10 s and closes. A data folder that was made for this server is removed. */
  close(): Promise<void>
}

/**
 * Starts all roles in this process. Without `dataDir` the data lies in a temporary folder, is not synced, and goes
 * with the server: made for tests. Rejects with `ConfigError` or `CairnError`.
 */
export async function startCairn(options: Partial<Settings> = {}): Promise<CairnServer> {
  const temporary = options.dataDir === undefined ? mkdtempSync(join(tmpdir(), 'cairn-')) : undefined
  const { config } = readConfig({ argv: [], env: {} })
  const settings = {
    ...config,
    ...(temporary === undefined ? {} : { dataDir: temporary, durability: 'none' as const }),
    logLevel: 'error' as const,
    ...options,
  }
  const running = await startAll(createEnvironment(settings, openLog(settings.logLevel)))
  const { endpoint, accessKey, secretKey } = running.listener
  return {
    endpoint,
    accessKey,
    secretKey,
    region: settings.region,
    async close() {
      await running.close()
      if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true })
    },
  }
}
