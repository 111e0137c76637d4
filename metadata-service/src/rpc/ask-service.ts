/** Calls of one metadata service to another. Whoever is asked so answers by itself, and asks nobody else. */
import {
  CairnError,
  getStatus,
  type HandshakeIdentity,
  hasCode,
  type Network,
  type RpcMethod,
} from '@cairn/protocol'

/** Who asks, and by which way. */
export interface ServiceCaller {
  readonly network: Network
  readonly identity: HandshakeIdentity
}

const UNREACHABLE = [
  'ConnectionLost',
  'DeadlineExceeded',
  'Cancelled',
  'PeerRejected',
  'ShuttingDown',
] as const

/** The other service must answer in this time; then this one says what it knows. */
const PASS_ON_MS = 2_000

/** What another service answers, or refuses; `undefined` if it cannot be asked. */
export async function askService<Q extends { readonly passedOn?: boolean }, R>(
  { network, identity }: ServiceCaller,
  call: { readonly address: string; readonly method: RpcMethod<Q, R>; readonly request: Q },
): Promise<R | undefined> {
  const peer = network.connect(call.address, identity, 'metadata')
  try {
    const request = { ...call.request, passedOn: true }
    return (await peer.call(call.method, request, { deadlineMs: PASS_ON_MS })).response
  } catch (error) {
    if (!hasCode(error, ...UNREACHABLE)) throw error
    return undefined
  } finally {
    await peer.close()
  }
}

/** Whether a metadata service with a store that answers is there. */
export async function isServing(caller: ServiceCaller, address: string): Promise<boolean> {
  if (address === '') return false
  try {
    const answer = await askService(caller, { address, method: getStatus, request: { withMap: false } })
    return answer !== undefined
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    return false
  }
}
