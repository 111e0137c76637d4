/** Drops old history: it takes space and time in etcd. Every service does so; a second compaction changes nothing. */
import { type CancelTimer, type Clock, hasCode, toCairnError } from '@cairn/protocol'
import type { EtcdConnection, EtcdLog } from './etcd-connection.js'
import { hasReason } from './etcd-errors.js'
import { COMPACT_EVERY_MS } from './etcd-limits.js'

export interface CompactionOptions {
  readonly connection: EtcdConnection
  readonly clock: Clock
  readonly log?: EtcdLog
  /** How much is kept, in ms, as of now. */
  readonly historyMs: () => number
  readonly revision: () => Promise<number>
}

/** Drops what happened before `revision`. No error if that was done before. */
export async function compactEtcd(connection: EtcdConnection, revision: number): Promise<void> {
  try {
    await connection.ask('compact', { revision })
  } catch (error) {
    if (!hasReason(error, 'compacted')) throw error
  }
}

/** Compacts from time to time until it is cancelled. */
export function compactRegularly(options: CompactionOptions): CancelTimer {
  const { clock, connection, log, historyMs } = options
  const marks: { readonly atMs: number; readonly revision: number }[] = []
  let cancel: CancelTimer = () => undefined

  async function compact(): Promise<void> {
    marks.push({ atMs: clock.monotonicMs(), revision: await options.revision() })
    let old: number | undefined
    while ((marks[0]?.atMs ?? Number.POSITIVE_INFINITY) <= clock.monotonicMs() - historyMs()) {
      old = marks.shift()?.revision
    }
    if (old !== undefined) await compactEtcd(connection, old)
  }

  function compactLater(): void {
    cancel = clock.setTimer(COMPACT_EVERY_MS, () => {
      compact()
        .catch((error: unknown) => {
          if (!hasCode(error, 'ShuttingDown'))
            log?.error({ err: toCairnError(error) }, 'etcd: compaction failed')
        })
        .finally(() => {
          if (!isStopped) compactLater()
        })
    })
  }

  let isStopped = false
  compactLater()
  return () => {
    isStopped = true
    cancel()
  }
}
