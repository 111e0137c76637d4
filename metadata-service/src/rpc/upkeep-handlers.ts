/** Methods 50 to 55, 60 and 61: what is wrong, what is done about it, the check of everything, the feature level. */
import {
  acceptRestore,
  CairnError,
  type CheckReport,
  type ClusterStatus,
  changeDrives,
  featureLevel,
  type GetCheckRequest,
  getCheck,
  getStatus,
  type HandshakeIdentity,
  hasCode,
  LIST_PAGE_MAX,
  type Network,
  type RpcMethod,
  type RpcRouter,
  reportBlocks,
  reportSpeeds,
  startCheck,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster/cluster-state.js'
import type { DriveStates } from '../core/cluster/drive-states.js'
import { summarizeDrives } from '../core/cluster/drive-summaries.js'
import { planWish } from '../core/cluster/drive-wishes.js'
import { FeatureLevels } from '../core/cluster/feature-level.js'
import { acceptRestore as accept, isGarbageHeld } from '../core/upkeep/restore-hold.js'
import type { SafeMode } from '../core/upkeep/safe-mode.js'
import type { KeyValueStore, StoreSpace } from '../ports.js'
import type { CheckRunner } from '../workers/check-runner.js'
import type { Standing } from '../workers/standing.js'
import type { Upkeep } from '../workers/upkeep.js'
import { askService } from './ask-service.js'

/** What the methods look at. */
export interface UpkeepHandlersOptions {
  readonly store: KeyValueStore
  readonly space: () => readonly StoreSpace[]
  /** Why the store takes no more writes. */
  readonly storeTrouble: () => string | undefined
  readonly cluster: ClusterState
  readonly states: DriveStates
  readonly safeMode: SafeMode
  readonly upkeep: Upkeep
  readonly check: CheckRunner
  readonly standing: Standing
  readonly network: Network
  readonly identity: HandshakeIdentity
}

export function registerUpkeepHandlers(router: RpcRouter, options: UpkeepHandlersOptions): void {
  const { store, cluster, states, upkeep, check } = options
  router.handle(reportBlocks, async (request) => {
    if (request.blocks.length > LIST_PAGE_MAX) {
      throw new CairnError('InvalidArgument', `at most ${LIST_PAGE_MAX} blocks at once`)
    }
    if ((await askCoordinator(options, reportBlocks, request)) === undefined) upkeep.repair.suspect(request)
    return { response: {} }
  })
  router.handle(reportSpeeds, async (request) => {
    if (request.speeds.length > LIST_PAGE_MAX) {
      throw new CairnError('InvalidArgument', `at most ${LIST_PAGE_MAX} speeds at once`)
    }
    const answer = await askCoordinator(options, reportSpeeds, request)
    if (answer === undefined) upkeep.slow.note(request)
    return { response: answer ?? { epoch: cluster.known.epoch } }
  })
  router.handle(getStatus, async (request) => {
    const answer = await askCoordinator(options, getStatus, request)
    return { response: answer ?? (await describe(options, request.withMap)) }
  })
  router.handle(startCheck, async (request) => {
    const answer = await askCoordinator(options, startCheck, request)
    return { response: answer ?? { check: check.start(request.deep) } }
  })
  router.handle(getCheck, async (request) => ({ response: await findCheck(options, request) }))
  router.handle(changeDrives, async (request) => {
    await cluster.change((state) => planWish(state, request, (drive) => states.of(drive)))
    return { response: {} }
  })
  router.handle(acceptRestore, async ({ incarnation }) => {
    const known = (await cluster.current()).incarnation
    if (incarnation !== known) {
      throw new CairnError('InvalidArgument', `the metadata's incarnation is ${known}, not ${incarnation}`)
    }
    await accept(store)
    return { response: {} }
  })
  const levels = new FeatureLevels({ store, cluster })
  router.handle(featureLevel, async ({ raise }) => ({
    response: await (raise ? levels.raise() : levels.report()),
  }))
}

/**
 * A check runs where it was started: at the service that coordinated then. Without a name, the last one that the
 * coordinator knows. `InvalidArgument` if nobody knows it.
 */
async function findCheck(options: UpkeepHandlersOptions, request: GetCheckRequest): Promise<CheckReport> {
  const { check, standing } = options
  const { check: name, cancel = false, passedOn } = request
  if (passedOn === true || (name !== undefined && check.knows(name))) return check.get(name, cancel)
  const coordinator = standing.coordinator.known?.address
  const others = standing.services.addresses.filter((address) => address !== coordinator)
  // The last one, if none is named, is the coordinator's: it may be this service.
  const own = standing.coordinator.isCoordinator() && name === undefined
  const addresses = own ? [] : [coordinator ?? '', ...(name === undefined ? [] : others)]
  for (const address of addresses.filter((each) => each !== '')) {
    const answer = await askService(options, { address, method: getCheck, request }).catch(unlessUnknown)
    if (answer !== undefined) return answer
  }
  return check.get(name, cancel)
}

function unlessUnknown(error: unknown): undefined {
  if (!hasCode(error, 'InvalidArgument')) throw error
}

/**
 * What the coordinator answers, if that is another service; `undefined` if it is this one, or cannot be asked. Whoever
 * is asked so by another answers by itself: two that take each other for it must not ask in a circle.
 */
async function askCoordinator<Q extends { readonly passedOn?: boolean }, R>(
  options: UpkeepHandlersOptions,
  method: RpcMethod<Q, R>,
  request: Q,
): Promise<R | undefined> {
  const { coordinator } = options.standing
  const address = coordinator.known?.address ?? ''
  if (request.passedOn === true || coordinator.isCoordinator() || address === '') return undefined
  return askService(options, { address, method, request })
}

async function describe(options: UpkeepHandlersOptions, withMap: boolean): Promise<ClusterStatus> {
  const { store, cluster, states, safeMode, upkeep, standing } = options
  const coordinator = standing.coordinator.known?.service
  const map = await cluster.current()
  const { garbage, repair, moves } = upkeep.status
  const storeTrouble = options.storeTrouble()
  return {
    clusterId: map.clusterId,
    incarnation: map.incarnation,
    epoch: map.epoch,
    drives: summarizeDrives(cluster, states),
    repair,
    safeMode: !safeMode.isOver(),
    garbageHeld: await isGarbageHeld(store),
    garbageBytes: garbage.pendingBytes,
    members: map.members,
    moves,
    ...(withMap ? { map } : {}),
    ...(coordinator === undefined ? {} : { coordinator }),
    services: standing.services.known.map(({ name }) => name),
    space: options.space(),
    ...(storeTrouble === undefined ? {} : { storeTrouble }),
  }
}
