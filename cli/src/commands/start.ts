/** `cairn start`: runs one role, or all of them, until a signal ends it. */
import { setFlagsFromString } from 'node:v8'
import type { Config } from '../config.js'
import { openLog } from '../log.js'
import { startAll } from '../roles/all.js'
import { startChunkRole } from '../roles/chunk.js'
import { createEnvironment, type RoleEnvironment, type RunningRole } from '../roles/environment.js'
import { startGatewayRole } from '../roles/gateway.js'
import { startMetadataRole } from '../roles/metadata.js'
import type { Role } from '../settings.js'

const START: Record<Role, (environment: RoleEnvironment) => Promise<RunningRole>> = {
  all: startAll,
  metadata: startMetadataRole,
  chunk: startChunkRole,
  gateway: startGatewayRole,
}

/**
 * How far the old generation of V8 may grow beyond what lived at its last collection, in percent. Left alone it takes
 * four times as much of a small heap, within some 300,000 requests, and gives little of it back; with less than this
 * its full collections cost up to a sixth of the CPU of small writes.
 */
const HEAP_GROWTH_PERCENT = 100

const ALIVE_MS = 60_000

/** Resolves when the process has been told to end and everything is closed. A second signal ends it at once. */
export async function start(
  config: Config,
  warnings: readonly string[],
  say: (line: string) => void,
): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)
  const log = openLog(config.logLevel)
  for (const warning of warnings) log.warn(warning)
  const ended = nextSignal()
  // While a role waits for others nothing else may keep the process alive: timers of services do not.
  const alive = setInterval(() => undefined, ALIVE_MS)
  const environment = createEnvironment(config, log)
  environment.certificates.watch()
  const starting = START[config.role](environment).finally(() => clearInterval(alive))
  const running = await Promise.race([starting, ended])
  if (typeof running === 'string') return
  for (const line of running.lines) say(line)
  const signal = await ended
  log.info({ signal }, 'closing')
  void nextSignal().then(() => process.exit(130))
  await running.close()
}

function nextSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const take = (signal: NodeJS.Signals): void => {
      process.off('SIGTERM', take)
      process.off('SIGINT', take)
      resolve(signal)
    }
    process.on('SIGTERM', take)
    process.on('SIGINT', take)
  })
}
