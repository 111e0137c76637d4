/**
 * What operators want of drives: emptied, used, replaced, forgotten, or all groups spread evenly. Pure. A wish that
 * would lose data, or could never come true, is refused with the reason; `force` lets copies share a failure domain
 * where else it would be refused.
 *
 * A wish may come late, or twice, through services that stood still. So it says at which epoch of the map it was asked,
 * and each drive keeps the epoch of the last change by which something was wanted of it. ● A wish that was asked before
 * that changes nothing: what it wants is so already, or it is refused. Also a wish that finds everything as it wants it
 * raises the epoch, so that nothing earlier can come after its answer.
 */
import { CairnError, type ChangeDrivesRequest, type DriveId } from '@cairn/protocol'
import type { DriveRow } from '../rows/cluster-state-rows.js'
import { type ClusterChange, isEmptyChange, type RegisteredDrives } from './drive-registration.js'
import { type ConditionOf, planMembership } from './membership.js'

/** The rows that a wish changes. `InvalidArgument` for what is not known, `PreconditionFailed` for what cannot be. */
export function planWish(
  state: RegisteredDrives,
  request: ChangeDrivesRequest,
  conditionOf: ConditionOf,
): ClusterChange {
  const { epoch } = request
  const rows = rowsOf(state, request)
  const change = plan(state, rows, request, conditionOf)
  const later = rows.find(({ wishEpoch = 0 }) => epoch !== undefined && wishEpoch > epoch)
  if (later === undefined) return marked(state, epoch === undefined ? [] : rows, change)
  if (isEmptyChange(change)) return NOTHING
  throw refuse(`what is wanted of drive ${later.drive.id} was changed meanwhile: look, and say it again`)
}

function plan(
  state: RegisteredDrives,
  rows: readonly DriveRow[],
  request: ChangeDrivesRequest,
  conditionOf: ConditionOf,
): ClusterChange {
  switch (request.action) {
    case 'add':
      return wantAdded(state, rows, conditionOf)
    case 'drain':
      return wantEmpty(state, rows, request.force, conditionOf)
    case 'undrain':
      return wantInUse(rows)
    case 'replace':
      return wantReplaced(state, request, conditionOf)
    case 'remove':
      return wantForgotten(state, rows, request, conditionOf)
    case 'rebalance':
      return wantBalance(state, request)
  }
}

/** The change with the mark of its epoch on each drive that it is about. */
function marked(state: RegisteredDrives, named: readonly DriveRow[], change: ClusterChange): ClusterChange {
  const wishEpoch = state.map.epoch + 1
  const rows = new Map([...named, ...change.drives].map((row) => [row.drive.id, { ...row, wishEpoch }]))
  for (const id of change.removed ?? []) rows.delete(id)
  return { ...change, drives: [...rows.values()] }
}

const NOTHING: ClusterChange = { members: [], drives: [], pools: [], indebted: [] }

function refuse(reason: string): CairnError {
  return new CairnError('PreconditionFailed', reason)
}

/** How what has no name yet gets one. */
const HOW_TO_ADD = {
  drive:
    '; a new folder joins when it is put into CAIRN_DRIVES of its chunk server, and that is started again',
  node: '; a new server joins when it is started',
} as const

function rowsOf(
  state: RegisteredDrives,
  { action, drives, servers }: Pick<ChangeDrivesRequest, 'action' | 'drives' | 'servers'>,
): DriveRow[] {
  const unknown = (kind: 'drive' | 'node', name: string): CairnError => {
    const how = action === 'add' ? HOW_TO_ADD[kind] : ''
    return new CairnError('InvalidArgument', `there is no ${kind} ${name} (see "cairn ${kind} list")${how}`)
  }
  const rows = drives.map((id) => {
    const row = state.drives.get(id)
    if (row === undefined) throw unknown('drive', id)
    return row
  })
  for (const server of servers) {
    if (!state.map.members.some(({ id }) => id === server)) throw unknown('node', server)
    rows.push(...[...state.drives.values()].filter(({ drive }) => drive.server === server))
  }
  return [...new Set(rows)]
}

/** What holds nothing is used now, given up before or not; what is in use stays so. */
function wantAdded(
  state: RegisteredDrives,
  rows: readonly DriveRow[],
  conditionOf: ConditionOf,
): ClusterChange {
  if (rows.length === 0) throw refuse(`it has no drives${HOW_TO_ADD.drive}`)
  const unused = rows.filter(({ drive }) => !isUsed(state, drive.id))
  for (const { drive } of unused) {
    if (conditionOf(drive.id) !== 'up') throw refuse(`drive ${drive.id} does not answer`)
    if (drive.state === 'suspect') throw refuse(`drive ${drive.id} is suspect`)
  }
  const { drives } = wantInUse(rows)
  const isUnderWay = unused.length === 0 || state.rebalancing === true
  return drives.length === 0 && isUnderWay ? NOTHING : { ...NOTHING, drives, rebalancing: true }
}

/** Over all drives that are not to be empty: one that was given up is used again. What was asked before the last is done. */
function wantBalance(state: RegisteredDrives, { epoch }: ChangeDrivesRequest): ClusterChange {
  const { drives, map, rebalancing, balanceEpoch = 0 } = state
  if (epoch !== undefined && balanceEpoch > epoch) return NOTHING
  const spares = [...drives.values()].filter(
    ({ drive, drain }) => drive.state === 'out' && drain === undefined,
  )
  if (epoch === undefined && spares.length === 0 && rebalancing === true) return NOTHING
  const used = spares.map((row) => withState(row, 'up'))
  return { ...NOTHING, drives: used, rebalancing: true, balanceEpoch: map.epoch + 1 }
}

function wantEmpty(
  state: RegisteredDrives,
  rows: readonly DriveRow[],
  force: boolean,
  conditionOf: ConditionOf,
): ClusterChange {
  const drain = force ? 'forced' : 'asked'
  const wanted = rows
    .filter((row) => !isToBeEmpty(row, force))
    .map((row) => {
      const { state: is } = row.drive
      return {
        ...row,
        drain,
        drive: { ...row.drive, state: is === 'up' || is === 'suspect' ? 'draining' : is },
      }
    }) satisfies DriveRow[]
  const drives = new Map(state.drives)
  for (const row of wanted) drives.set(row.drive.id, row)
  const { stuck } = planMembership({ ...state, drives }, conditionOf)
  if (stuck !== undefined && wanted.length > 0) throw refuse(stuck)
  return { ...NOTHING, drives: wanted }
}

function isToBeEmpty({ drain }: DriveRow, force: boolean): boolean {
  return drain === 'forced' || (drain === 'asked' && !force)
}

function wantInUse(rows: readonly DriveRow[]): ClusterChange {
  const wanted = rows.filter(({ drain, drive }) => drain !== undefined || drive.state === 'out')
  return {
    ...NOTHING,
    drives: wanted.map((row) => {
      const { drain: _, ...rest } = row
      return row.drive.state === 'dead' ? rest : withState(rest, 'up')
    }),
  }
}

/** The first is emptied onto all that are in use, of which the second is to be. A drive each, or all those of a node. */
function wantReplaced(
  state: RegisteredDrives,
  request: ChangeDrivesRequest,
  conditionOf: ConditionOf,
): ClusterChange {
  const { force } = request
  const [olds, takers] = sidesOf(state, request)
  const needed = Math.max(1, olds.filter(({ drive }) => isUsed(state, drive.id)).length)
  const taken = takers.filter(({ drive, drain }) => drain === undefined && drive.state !== 'out')
  if (olds.every((row) => isToBeEmpty(row, force)) && taken.length >= needed) return NOTHING
  const obstacles = takers.flatMap(({ drive: { id } }) => findObstacle(state, id, conditionOf) ?? [])
  const usable = takers.filter(({ drive: { id } }) => findObstacle(state, id, conditionOf) === undefined)
  if (usable.length < needed) {
    const count = `${needed} unused drives that answer are needed, and there are ${usable.length}`
    throw refuse([count, ...obstacles].join('; '))
  }
  const used = wantInUse(usable).drives
  const drives = new Map(state.drives)
  for (const row of used) drives.set(row.drive.id, row)
  const emptied = wantEmpty({ ...state, drives }, olds, force, conditionOf)
  return { ...NOTHING, drives: [...used, ...emptied.drives] }
}

function sidesOf(
  state: RegisteredDrives,
  { action, drives, servers }: ChangeDrivesRequest,
): [olds: DriveRow[], takers: DriveRow[]] {
  const sides = [
    ...drives.map((drive) => rowsOf(state, { action, drives: [drive], servers: [] })),
    ...servers.map((server) => rowsOf(state, { action, drives: [], servers: [server] })),
  ]
  const [olds, takers, ...others] = sides
  const isPair = drives.length !== 1 && others.length === 0
  if (olds === undefined || takers === undefined || !isPair || olds.some((row) => takers.includes(row))) {
    const message = 'two drives, or two nodes, are needed: one to be replaced, and one that takes its place'
    throw new CairnError('InvalidArgument', message)
  }
  return [olds, takers]
}

/** Why a drive cannot take the place of another. */
function findObstacle(state: RegisteredDrives, id: DriveId, conditionOf: ConditionOf): string | undefined {
  if (isUsed(state, id)) return `drive ${id} holds groups already`
  return conditionOf(id) === 'up' ? undefined : `drive ${id} does not answer`
}

function wantForgotten(
  state: RegisteredDrives,
  rows: readonly DriveRow[],
  { servers }: ChangeDrivesRequest,
  conditionOf: ConditionOf,
): ClusterChange {
  for (const { drive } of rows) {
    if (isUsed(state, drive.id)) throw refuse(`drive ${drive.id} still holds groups: drain it first`)
    if (conditionOf(drive.id) === 'up') {
      const wait = 'stop its server first, and wait for CAIRN_SUSPECT_SECONDS'
      throw refuse(`drive ${drive.id} still answers, or did so a moment ago: ${wait}`)
    }
  }
  const removed = rows.map(({ drive }) => drive.id)
  return { ...NOTHING, removed, removedMembers: servers }
}

function isUsed({ map }: RegisteredDrives, drive: DriveId): boolean {
  return map.pools.some(({ drives }) => drives.includes(drive))
}

function withState(row: DriveRow, state: DriveRow['drive']['state']): DriveRow {
  return { ...row, drive: { ...row.drive, state } }
}
