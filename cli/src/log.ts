/** Logs: JSON lines on stderr, pretty on a terminal. Nothing secret, no object body. */
import { createRequire } from 'node:module'
import { type Logger, pino } from 'pino'
import type * as Pretty from 'pino-pretty'
import type { LogLevel } from './settings.js'

export type { Logger } from 'pino'

/** Opens the log of this process. Writes are synchronous: the last lines before a crash are the ones that matter. */
export function openLog(level: LogLevel, stream: typeof process.stderr = process.stderr): Logger {
  const destination = stream.isTTY ? openPretty(stream.fd) : pino.destination({ fd: stream.fd, sync: true })
  return pino({ level, base: null }, destination)
}

/** Loaded on a terminal only. */
function openPretty(fd: number): Pretty.PrettyStream {
  const { PinoPretty } = createRequire(import.meta.url)('pino-pretty') as typeof Pretty
  return PinoPretty({ colorize: true, destination: fd, sync: true, ignore: 'pid,hostname' })
}
