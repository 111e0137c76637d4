/**
 * What the registration of a chunk server changes in the cluster map. Pure.
 *
 * A drive whose id is unknown is a *new* drive, and is only added: an unmounted disk must not pose as an empty one
 * that holds its groups. It takes over the groups of an old drive at once only if it stands at the same path of the
 * same server, on the same device and under the same parent folder: then the old folder was really removed. A drive
 * that lost its groups in this way, and is back where its replacement no longer is, takes them over just so. Until it
 * is filled it is marked: see `unfilled-drives.ts`.
 *
 * A run of a server has a number that is higher than those of its earlier runs. What an earlier one has sent, and
 * comes late, is refused: it would bring back an address where nobody listens.
 */
import {
  CairnError,
  type ClusterMap,
  computeGroups,
  type DriveId,
  type DriveRegistration,
  type Member,
  type Pool,
  type RegisterServerRequest,
  replaceDrive,
} from '@cairn/protocol'
import type { DriveRow } from '../rows/cluster-state-rows.js'
import { domainOf, widestDomain } from './failure-domains.js'
import { asUnfilled } from './unfilled-drives.js'

/** The rows of a change; empty lists change nothing. */
export interface ClusterChange {
  readonly members: readonly Member[]
  readonly drives: readonly DriveRow[]
  readonly pools: readonly Pool[]
  /** Pools of which some groups may owe copies from now on: marked in the same commit. */
  readonly indebted: readonly number[]
  /** Drives that are forgotten. */
  readonly removed?: readonly DriveId[]
  /** Servers that are forgotten. */
  readonly removedMembers?: readonly string[]
  /** Whether groups are to be spread evenly from now on; unchanged if absent. */
  readonly rebalancing?: boolean
  /** Epoch of this change, if somebody wants that; unchanged if absent. */
  readonly balanceEpoch?: number
  /** The cluster's feature level, and the one it is about to be raised to, 0 for none; unchanged if absent. */
  readonly feature?: { readonly level: number; readonly target: number }
}

/** True for a change that writes nothing. */
export function isEmptyChange(change: ClusterChange): boolean {
  const { members, drives, pools, removed = [], removedMembers = [] } = change
  const rows = [members, drives, pools, removed, removedMembers]
  const others = [change.rebalancing, change.balanceEpoch, change.feature]
  return others.every((other) => other === undefined) && rows.every(({ length }) => length === 0)
}

/** The cluster map with the place of each drive. */
export interface RegisteredDrives {
  readonly map: ClusterMap
  readonly drives: ReadonlyMap<string, DriveRow>
  /** Groups are being spread evenly. */
  readonly rebalancing?: boolean
  /** Epoch of the last change by which somebody wanted that. */
  readonly balanceEpoch?: number
}

/** How the first pool is made: once at least this many drives are up. */
export interface FirstPoolOptions {
  readonly replicas: number
  readonly drivesExpected: number
}

/** Id of the pool that is made first. */
const FIRST_POOL = 1

/** The rows that registering this server changes: none when it is known as it is. `PeerRejected` for an earlier run. */
export function planRegistration(
  state: RegisteredDrives,
  request: RegisterServerRequest,
  options: FirstPoolOptions,
): ClusterChange {
  requireLatestRun(state.map, request.member)
  const drives = new Map(state.drives)
  const present = new Set(request.drives.map((drive) => drive.id))
  let pools = state.map.pools
  for (const registration of request.drives) {
    const known = drives.get(registration.id)
    const born = known === undefined ? { wishEpoch: state.map.epoch + 1 } : {}
    const row = { ...toRow(registration, request.member.id, known), ...born }
    drives.set(registration.id, row)
    const isUnused = known === undefined || (known.drive.state === 'out' && known.drain === undefined)
    const old = isUnused ? findPredecessor(drives, registration, request.member.id, present) : undefined
    if (old === undefined) continue
    const replacement: DriveRow = { ...row, drive: { ...row.drive, state: 'up' } }
    drives.set(registration.id, asUnfilled(replacement, state.map.epoch + 1))
    drives.set(old.drive.id, { ...old, drive: { ...old.drive, state: 'out' } })
    pools = pools.map((pool) =>
      pool.drives.includes(old.drive.id) ? replaceDrive(pool, old.drive.id, registration.id) : pool,
    )
  }
  const members = [...state.map.members.filter((member) => member.id !== request.member.id), request.member]
  const replaced = pools.filter((pool) => !state.map.pools.includes(pool))
  if (pools.length === 0) pools = firstPool(members, [...drives.values()], options)
  return {
    members: isKnownMember(state.map, request.member) ? [] : [request.member],
    drives: [...drives.values()].filter((row) => !sameRow(row, state.drives.get(row.drive.id))),
    pools: pools.filter((pool) => !state.map.pools.includes(pool)),
    indebted: replaced.map(({ id }) => id),
  }
}

function requireLatestRun(map: ClusterMap, { id, runStart = 0 }: Member): void {
  const known = map.members.find((member) => member.id === id)?.runStart ?? 0
  if (runStart >= known) return
  const message = `a later run of server ${id} has registered`
  throw new CairnError('PeerRejected', message, { details: { runStart: String(known) } })
}

/** A drive that was given up stays out: others hold its groups now. */
function toRow(registration: DriveRegistration, server: string, known: DriveRow | undefined): DriveRow {
  const { id, capacityBytes, path, device, parent } = registration
  const state = known?.drive.state === 'out' ? 'out' : stateInService(known)
  return { ...known, drive: { ...known?.drive, id, server, state, capacityBytes }, path, device, parent }
}

/** The state of a drive that answers, and was not given up. */
export function stateInService(row: Pick<DriveRow, 'drain'> | undefined): 'up' | 'draining' {
  return row?.drain === undefined ? 'up' : 'draining'
}

function findPredecessor(
  drives: ReadonlyMap<string, DriveRow>,
  registration: DriveRegistration,
  server: string,
  present: ReadonlySet<string>,
): DriveRow | undefined {
  return [...drives.values()].find(
    (row) =>
      !present.has(row.drive.id) &&
      row.drive.server === server &&
      row.drive.state !== 'out' &&
      row.path === registration.path &&
      row.device === registration.device &&
      row.parent === registration.parent,
  )
}

function firstPool(members: readonly Member[], rows: readonly DriveRow[], options: FirstPoolOptions): Pool[] {
  const up = rows.filter((row) => row.drive.state === 'up').map((row) => row.drive)
  const { replicas } = options
  if (up.length < Math.max(replicas, options.drivesExpected)) return []
  const byId = new Map(members.map((member) => [member.id, member]))
  const failureDomain = widestDomain(up, byId, replicas)
  const { drives, groups } = computeGroups({
    drives: up.map((drive) => ({
      id: drive.id,
      weight: Math.max(1, drive.capacityBytes),
      domain: domainOf(drive, byId, failureDomain),
    })),
    replicas,
  })
  return [{ id: FIRST_POOL, name: 'default', epoch: 1, replicas, failureDomain, drives, groups }]
}

function isKnownMember(map: ClusterMap, member: Member): boolean {
  const known = map.members.find(({ id }) => id === member.id)
  return (
    known !== undefined &&
    known.address === member.address &&
    known.zone === member.zone &&
    known.rack === member.rack &&
    known.host === member.host &&
    known.featureLevel === member.featureLevel &&
    known.runStart === member.runStart
  )
}

function sameRow(row: DriveRow, known: DriveRow | undefined): boolean {
  return (
    known !== undefined &&
    row.path === known.path &&
    row.device === known.device &&
    row.parent === known.parent &&
    row.drain === known.drain &&
    row.drive.server === known.drive.server &&
    row.drive.state === known.drive.state &&
    row.drive.capacityBytes === known.drive.capacityBytes
  )
}
