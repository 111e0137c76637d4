/** Methods 10 to 13: the cluster map, and the tokens by which blocks are read. */
import {
  CairnError,
  type Clock,
  GROUPS_PER_POOL,
  getBlock,
  getBlockTokens,
  getClusterMap,
  heartbeat,
  LIST_PAGE_MAX,
  type RpcRouter,
  registerServer,
  TOKEN_LEVEL,
  type TokenKeys,
  TokenMint,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import type { TokenKeyRing } from '../core/services/token-keys.js'

export interface ClusterHandlersOptions {
  readonly cluster: ClusterState
  /** Those of the services to tell of, if there may be several. */
  readonly addresses: () => readonly string[] | undefined
  readonly ring: TokenKeyRing
  readonly clock: Clock
}

/** Roles that make or check tokens, and so are told the keys. */
const KEEPERS: readonly string[] = ['metadata', 'chunk', 'gateway']

export function registerClusterHandlers(router: RpcRouter, options: ClusterHandlersOptions): void {
  const { cluster, addresses, ring, clock } = options
  const services = (): { services?: readonly string[] } => {
    const known = addresses()
    return known === undefined || known.length === 0 ? {} : { services: known }
  }
  const tokens = async (): Promise<TokenKeys> => ({
    required: cluster.known.featureLevel >= TOKEN_LEVEL,
    keys: await ring.current(),
  })
  const mint = new TokenMint(clock)
  router.handle(getClusterMap, async ({ knownEpoch }, { peer }) => {
    const map = await cluster.current()
    const keys = KEEPERS.includes(peer.role) ? { tokens: await tokens() } : {}
    return { response: { ...(map.epoch === knownEpoch ? {} : { map }), ...services(), ...keys } }
  })
  router.handle(registerServer, async (request) => {
    const epoch = await cluster.register(request)
    return { response: { epoch, tokens: await tokens() } }
  })
  router.handle(heartbeat, async (request) => {
    const epoch = await cluster.report(request)
    return { response: { epoch, ...services(), tokens: await tokens() } }
  })
  router.handle(getBlockTokens, async ({ groups }) => {
    if (groups.length > LIST_PAGE_MAX || groups.some((group) => group >= GROUPS_PER_POOL)) {
      throw new CairnError('InvalidArgument', `at most ${LIST_PAGE_MAX} groups, below ${GROUPS_PER_POOL}`)
    }
    mint.learn(await tokens())
    const made = groups.map((group) => mint.tokenOf({ method: getBlock.number, group }))
    return { response: { tokens: made.filter((token) => token !== undefined) } }
  })
}
