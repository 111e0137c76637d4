/**
 * What etcd and gRPC answer, as ours. etcd tells its errors apart by their text alone (its own clients do the same), so
 * this is the one place that looks at texts.
 *
 * `OutcomeUnknown`: the call may or may not have happened, now or later. `ConnectionLost`: it has not happened and
 * never will, since it was not sent, or was refused by a member without a leader before it was proposed. All others:
 * refused.
 */
import { CairnError, type ErrorCode } from '@cairn/protocol'
import type { ServiceError } from '@grpc/grpc-js'

const REFUSALS: readonly (readonly [text: string, code: ErrorCode, reason?: EtcdReason])[] = [
  ['database space exceeded', 'DriveFull'],
  ['request is too large', 'MessageTooLarge'],
  ['larger than max', 'MessageTooLarge'],
  ['too many operations', 'MessageTooLarge'],
  ['duplicate key given', 'InvalidArgument'],
  ['requested lease not found', 'SessionExpired'],
  ['lease already exists', 'InvalidArgument', 'lease exists'],
  ['revision has been compacted', 'Busy', 'compacted'],
  ['future revision', 'Busy', 'compacted'],
  ['too many requests', 'Busy'],
  ['etcdserver: no leader', 'ConnectionLost'],
  ['invalid auth token', 'PeerRejected', 'token'],
  ['user name is empty', 'PeerRejected', 'token'],
  ['revision of auth store is old', 'PeerRejected', 'token'],
  ['authentication failed', 'PeerRejected'],
  ['permission denied', 'PeerRejected'],
  ['authentication is not enabled', 'PeerRejected'],
  ['alarm', 'Internal'],
]

/** What a caller inside the adapter may do about a refusal. */
export type EtcdReason = 'token' | 'compacted' | 'lease exists'

/** Names a failed call. */
export function fromEtcd(error: ServiceError): CairnError {
  const text = error.details || error.message
  const known = REFUSALS.find(([part]) => text.includes(part))
  if (known === undefined) return outcomeUnknown(text, error)
  const [, code, reason] = known
  const details = reason === undefined ? {} : { reason }
  return new CairnError(code, `etcd refuses: ${text}`, { cause: error, details })
}

/** Whether an error of `fromEtcd` has this reason. */
export function hasReason(error: unknown, reason: EtcdReason): boolean {
  return error instanceof CairnError && error.details.reason === reason
}

export function outcomeUnknown(why: string, cause?: unknown): CairnError {
  return new CairnError('OutcomeUnknown', `etcd did not answer: ${why}`, { cause })
}

/** Nothing was sent. */
export function notReached(why: string): CairnError {
  return new CairnError('ConnectionLost', `etcd was not reached: ${why}`)
}

export function closedError(): CairnError {
  return new CairnError('ShuttingDown', 'the store is closed')
}
