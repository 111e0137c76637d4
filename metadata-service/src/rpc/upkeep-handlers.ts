/** Methods 50 to 54, and 60: what is wrong, what is done about it, and the check of everything. */
import {
  acceptRestore,
  CairnError,
  type ClusterStatus,
  changeDrives,
  getCheck,
  getStatus,
  LIST_PAGE_MAX,
  type RpcRouter,
  reportBlocks,
  startCheck,
} from '@cairn/protocol'
import type { ClusterState } from '../core/cluster-state.js'
import type { DriveStates } from '../core/drive-states.js'
import { summarizeDrives } from '../core/drive-summaries.js'
import { planWish } from '../core/drive-wishes.js'
import { acceptRestore as accept, isGarbageHeld } from '../core/restore-hold.js'
import type { SafeMode } from '../core/safe-mode.js'
import type { KeyValueStore } from '../ports.js'
import type { CheckRunner } from '../workers/check-runner.js'
import type { Upkeep } from '../workers/upkeep.js'

/** What the methods look at. */
export interface UpkeepHandlersOptions {
  readonly store: KeyValueStore
  readonly cluster: ClusterState
  readonly states: DriveStates
  readonly safeMode: SafeMode
  readonly upkeep: Upkeep
  readonly check: CheckRunner
}

export function registerUpkeepHandlers(router: RpcRouter, options: UpkeepHandlersOptions): void {
  const { store, cluster, states, upkeep, check } = options
  router.handle(reportBlocks, async (request) => {
    if (request.blocks.length > LIST_PAGE_MAX) {
      throw new CairnError('InvalidArgument', `at most ${LIST_PAGE_MAX} blocks at once`)
    }
    upkeep.repair.suspect(request)
    return { response: {} }
  })
  router.handle(getStatus, async ({ withMap }) => ({ response: await describe(options, withMap) }))
  router.handle(startCheck, async ({ deep }) => ({ response: { check: check.start(deep) } }))
  router.handle(getCheck, async ({ check: name, cancel }) => ({
    response: check.get(name, cancel === true),
  }))
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
}

async function describe(options: UpkeepHandlersOptions, withMap: boolean): Promise<ClusterStatus> {
  const { store, cluster, states, safeMode, upkeep } = options
  const map = await cluster.current()
  const { garbage, repair, moves } = upkeep.status
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
  }
}
