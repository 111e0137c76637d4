/**
 * The same engine as `startServer`, in this process and with what it has loaded: a tenth of the time of a start. For
 * shows that only have to look at what a folder holds; like the command, it is taken as it stands in the checkout.
 */
import type { Server } from './server.js'

const CONFIG = new URL('../../../../cli/dist/src/config.js', import.meta.url).href
const LIBRARY = new URL('../../../../cli/dist/src/index.js', import.meta.url).href

/** What is used of `@cairn/cli`. */
interface Library {
  startCairn(settings: object): Promise<InsideServer>
}
interface ConfigReader {
  readConfig(from: { argv: string[]; env: Readonly<Record<string, string>> }): { config: object }
}

/** A server inside this process. */
export interface InsideServer extends Pick<Server, 'endpoint' | 'accessKey' | 'secretKey'> {
  close(): Promise<void>
}

/** Starts on a free port; rejects as `cairn start` fails. `env` holds settings by their variables. */
export async function startInside(
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): Promise<InsideServer> {
  const { readConfig } = (await import(CONFIG)) as ConfigReader
  const { startCairn } = (await import(LIBRARY)) as Library
  const { config } = readConfig({
    argv: [],
    env: { CAIRN_LOG_LEVEL: 'warn', ...env, CAIRN_DATA_DIR: dataDir, CAIRN_PORT: '0' },
  })
  return startCairn(config)
}
