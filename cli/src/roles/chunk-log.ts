/** What chunk servers tell, in the log. */
import type { ChunkServerEvent } from '@cairn/chunk-server'
import { hasCode } from '@cairn/protocol'
import type { Logger } from '../log.js'

/** What passes by itself when services start, end or change places. */
const EXPECTED = [
  'ConnectionLost',
  'DeadlineExceeded',
  'Cancelled',
  'Busy',
  'ShuttingDown',
  'NoSuchDrive',
] as const

/** A server that the metadata refuses is a warning: it goes on trying, and a start waits for it. */
export function logChunkEvents(log: Logger, server: string): (event: ChunkServerEvent) => void {
  return (event) => {
    if (event.kind !== 'unregistered') {
      log.info({ ...event, server }, 'chunk server')
      return
    }
    const { kind, error: err } = event
    if (err === undefined || hasCode(err, ...EXPECTED)) log.info({ kind, server, err }, 'chunk server')
    else
      log.warn({ kind, server, err }, 'the metadata service refuses this chunk server, which goes on trying')
  }
}
