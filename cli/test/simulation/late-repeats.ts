/** A network that delivers changes a second time, late: what a proxy, or a retry that was believed lost, may do. */
import type { CallOptions, Clock, Network, Random, RpcMethod, RpcPeer, RpcReply } from '@cairn/protocol'

/** Methods of the metadata service whose requests carry an op id. */
export const CHANGES: ReadonlySet<string> = new Set([
  'PutObject',
  'DeleteObjects',
  'CopyObject',
  'CreateUpload',
  'PutPart',
  'FreezeUpload',
  'CompleteUpload',
  'AbortUpload',
])

/** Longest time between a call's end and its repetition, in ms. */
const LATE_MS_MAX = 5_000

export interface LateRepeatOptions {
  readonly clock: Clock
  readonly random: Random
  readonly probability: () => number
}

/** Wraps every peer of a network. */
export function wrapCalls(
  network: Network,
  wrap: <Q, R>(
    method: RpcMethod<Q, R>,
    request: Q,
    options: CallOptions,
    call: RpcPeer['call'],
    /** To the same server, as a metadata service. */
    command: RpcPeer['call'],
  ) => Promise<RpcReply<R>>,
): Network {
  return {
    listen: (address, table, identity) => network.listen(address, table, identity),
    connect(address, identity, role) {
      const peer = network.connect(address, identity, role)
      const service = network.connect(address, { ...identity, role: 'metadata' }, role)
      const call: RpcPeer['call'] = (method, request, options) => peer.call(method, request, options)
      const command: RpcPeer['call'] = (method, request, options) => service.call(method, request, options)
      return {
        call: (method, request, options) => wrap(method, request, options, call, command),
        async close() {
          await Promise.all([peer.close(), service.close()])
        },
      }
    },
  }
}

/** Repeats changes of the metadata service, with the same op id; nobody hears the second answer. */
export function repeatLate(network: Network, options: LateRepeatOptions): Network {
  const { clock, random, probability } = options
  return wrapCalls(network, async (method, request, callOptions, call) => {
    try {
      return await call(method, request, callOptions)
    } finally {
      if (CHANGES.has(method.name) && random.fraction() < probability()) {
        const again = (): void => {
          call(method, request, { deadlineMs: 5_000 }).catch(() => undefined)
        }
        clock.setTimer(random.fraction() * LATE_MS_MAX, again)
      }
    }
  })
}
