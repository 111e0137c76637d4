/**
 * What operators want of drives: emptied, used again, replaced, forgotten, or all groups spread evenly. Pure. A wish
 * that would lose data, or could never come true, is refused with the reason; `force` lets copies share a failure
 * domain where else it would be refused.
 */
import { CairnError, type ChangeDrivesRequest, type DriveId } from '@cairn/protocol'
import type { DriveRow } from '../rows/cluster-state-rows.js'
import type { ClusterChange, RegisteredDrives } from './drive-registration.js'
import { type ConditionOf, planMembership } from './membership.js'

/** The rows that a wish changes. `InvalidArgument` for what is not known, `PreconditionFailed` for what cannot be. */
export function planWish(
  state: RegisteredDrives,
  request: ChangeDrivesRequest,
  conditionOf: ConditionOf,
): ClusterChange {
  const rows = rowsOf(state, request)
  switch (request.action) {
    case 'rebalance':
      return wantBalance(state, rows)
    case 'drain':
      return wantEmpty(state, rows, request.force, conditionOf)
    case 'undrain':
      return wantInUse(rows)
    case 'replace':
      return wantReplaced(state, rows, request, conditionOf)
    case 'remove':
      return wantForgotten(state, rows, request, conditionOf)
  }
}

const NOTHING: ClusterChange = { members: [], drives: [], pools: [], indebted: [] }

function refuse(reason: string): CairnError {
  return new CairnError('PreconditionFailed', reason)
}

function rowsOf(state: RegisteredDrives, { drives, servers }: ChangeDrivesRequest): DriveRow[] {
  const rows = drives.map((id) => {
    const row = state.drives.get(id)
    if (row === undefined)
      throw new CairnError('InvalidArgument', `there is no drive ${id} (see "cairn drive list")`)
    return row
  })
  for (const server of servers) {
    if (!state.map.members.some(({ id }) => id === server)) {
      throw new CairnError('InvalidArgument', `there is no node ${server} (see "cairn node list")`)
    }
    rows.push(...[...state.drives.values()].filter(({ drive }) => drive.server === server))
  }
  return [...new Set(rows)]
}

/** Spares that somebody names, or all groups: a drive that was given up is used again. */
function wantBalance(state: RegisteredDrives, named: readonly DriveRow[]): ClusterChange {
  const rows = named.length > 0 ? named : [...state.drives.values()]
  const spares = rows.filter(({ drive, drain }) => drive.state === 'out' && drain === undefined)
  if (spares.length === 0 && state.rebalancing === true) return NOTHING
  return { ...NOTHING, drives: spares.map((row) => withState(row, 'up')), rebalancing: true }
}

function wantEmpty(
  state: RegisteredDrives,
  rows: readonly DriveRow[],
  force: boolean,
  conditionOf: ConditionOf,
): ClusterChange {
  const drain = force ? 'forced' : 'asked'
  const wanted = rows
    .filter((row) => row.drain !== drain && row.drain !== 'forced')
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

/** The first drive is emptied onto the others, of which the second is to be one. */
function wantReplaced(
  state: RegisteredDrives,
  rows: readonly DriveRow[],
  { force }: ChangeDrivesRequest,
  conditionOf: ConditionOf,
): ClusterChange {
  const [old, by, ...others] = rows
  if (old === undefined || by === undefined || others.length > 0) {
    throw new CairnError(
      'InvalidArgument',
      'a drive to be replaced and the one that takes its place are needed',
    )
  }
  if (state.map.pools.some(({ drives }) => drives.includes(by.drive.id))) {
    throw refuse(`drive ${by.drive.id} holds groups already`)
  }
  if (conditionOf(by.drive.id) !== 'up') throw refuse(`drive ${by.drive.id} does not answer`)
  const taken = wantInUse([by]).drives
  const drives = new Map(state.drives)
  for (const row of taken) drives.set(row.drive.id, row)
  const emptied = wantEmpty({ ...state, drives }, [old], force, conditionOf)
  return { ...NOTHING, drives: [...taken, ...emptied.drives] }
}

function wantForgotten(
  state: RegisteredDrives,
  rows: readonly DriveRow[],
  { servers }: ChangeDrivesRequest,
  conditionOf: ConditionOf,
): ClusterChange {
  for (const { drive } of rows) {
    if (isUsed(state, drive.id)) throw refuse(`drive ${drive.id} still holds groups: drain it first`)
    if (conditionOf(drive.id) === 'up') throw refuse(`drive ${drive.id} still answers: stop its server first`)
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
