/** Logs: JSON lines on stderr, pretty on a terminal. Nothing secret, no object body. */
import { type Logger, pino } from 'pino'
import { PinoPretty } from 'pino-pretty'
import type { LogLevel } from './settings.js'

export type { Logger } from 'pino'

/** Opens the log of this process. Writes are synchronous: the last lines before a crash are the ones that matter. */
export function openLog(level: LogLevel, stream: typeof process.stderr = process.stderr): Logger {
  const destination = stream.isTTY
    ? PinoPretty({ colorize: true, destination: stream.fd, sync: true, ignore: 'pid,hostname' })
    : pino.destination({ fd: stream.fd, sync: true })
  return pino({ level, base: null }, destination)
}
