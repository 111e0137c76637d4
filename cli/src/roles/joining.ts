/** How a role comes to its cluster: a metadata service that does not answer yet is waited for, a refusal is final. */
import { CairnError, type Clock, hasCode } from '@cairn/protocol'
import { ConfigError } from '../config.js'

/** For how long an absent metadata service is waited for: roles may be started in any order. */
const PATIENCE_SECONDS = 30
/** Pause between two attempts. */
const PAUSE_MS = 500

/**
 * What `join` resolves with, which is called again while no metadata service answers. `ConnectionLost` if none has for
 * half a minute; `ConfigError` if the other side refuses this one, or this one it: no waiting mends that.
 */
export async function joined<T>(clock: Clock, join: () => Promise<T>): Promise<T> {
  const untilMs = clock.monotonicMs() + PATIENCE_SECONDS * 1000
  for (;;) {
    try {
      return await join()
    } catch (error) {
      if (hasCode(error, 'PeerRejected', 'NotAllowed')) throw refusal(error)
      if (!hasCode(error, 'ConnectionLost')) throw error
      if (clock.monotonicMs() + PAUSE_MS >= untilMs) throw absence(error)
      await new Promise<void>((resolve) => clock.setTimer(PAUSE_MS, resolve))
    }
  }
}

function refusal({ message }: CairnError): ConfigError {
  const settings = 'CAIRN_CLUSTER_SECRET, CAIRN_CLUSTER_CERT or CAIRN_METADATA'
  return new ConfigError([`${settings}: refused by, or refusing, the metadata service: ${message}`])
}

function absence(cause: CairnError): CairnError {
  const words = `no metadata service has answered for ${PATIENCE_SECONDS} s: ${cause.message}`
  return new CairnError('ConnectionLost', words, { cause })
}
