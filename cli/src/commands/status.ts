/** `cairn status [--json]`: the cluster as its metadata service sees it. */
import type { ClusterStatus, DriveSummary, MoveReport, StoreSpace } from '@cairn/protocol'
import type { Config } from '../config.js'
import { askAdmin } from '../http/ask-admin.js'
import { describeStoreTrouble } from './store-trouble.js'

/** Text or JSON of a running server's state. Rejects with `AdminError`. */
export async function status(config: Config, { json }: { readonly json: boolean }): Promise<string> {
  const found = await askAdmin<ClusterStatus>(config, 'GET', 'status')
  return json ? JSON.stringify(found, null, 2) : describeStatus(found)
}

/** A screen of it. */
function describeStatus(status: ClusterStatus): string {
  const { repair } = status
  const trouble = describeStoreTrouble(status)
  const notes = [
    ...(trouble === undefined ? [] : [trouble]),
    ...(status.safeMode ? ['safe mode: nothing is deleted or repaired yet'] : []),
    ...(status.garbageHeld ? ['restored: nothing is deleted until `cairn fsck --accept`'] : []),
  ]
  const compared = `comparing drives: ${repair.blocksCompared} of about ${repair.blocksToCompare} blocks`
  return [
    `cluster ${status.clusterId}  epoch ${status.epoch}  incarnation ${status.incarnation}`,
    ...notes,
    ...describeServices(status),
    ...(status.space ?? []).map(describeSpace),
    '',
    ...status.drives.flatMap(describeDrive),
    '',
    `under-replicated ${repair.underReplicated}  unavailable ${repair.unavailable}  groups owing copies ${repair.dirtyGroups}`,
    `repaired ${repair.blocksRepaired} blocks, ${formatBytes(repair.bytesRepaired)}; failed copies ${repair.failures}`,
    ...(repair.comparing ? [compared] : []),
    ...(status.moves === undefined ? [] : describeMoves(status.moves)),
    `garbage ${formatBytes(status.garbageBytes)}`,
  ].join('\n')
}

/** The metadata services, when there are several. */
function describeServices({ services = [], coordinator }: ClusterStatus): string[] {
  if (services.length < 2) return []
  const shown = services.map((name) => (name === coordinator ? `${name} (coordinator)` : name))
  const note = coordinator === undefined ? '; none coordinates yet' : ''
  return [`metadata services: ${shown.join(', ')}${note}`]
}

function describeSpace({ member, bytes, fileBytes, quotaBytes, isRefusing }: StoreSpace): string {
  const used = `${formatBytes(bytes)} in use of ${formatBytes(quotaBytes)}, file ${formatBytes(fileBytes)}`
  return `etcd ${member}: ${used}${isRefusing ? '; it takes no writes (cairn metadata compact)' : ''}`
}

/** What moves, at which rate, and for how long still; nothing if nothing does. */
export function describeMoves(moves: MoveReport): string[] {
  const { positionsLeft, positionsMoved, positionsMoving, movingMs, stuck } = moves
  if (stuck !== undefined) return [`nothing moves: ${stuck}`]
  if (positionsLeft === 0) return []
  const perSecond = movingMs === 0 ? 0 : (positionsMoved * 1000) / movingMs
  const eta = perSecond === 0 ? '' : `, ${Math.ceil(positionsLeft / perSecond)} s to go`
  const rate = `${perSecond.toPrecision(3)} a second${eta}`
  return [`moving: ${positionsMoved} groups moved, ${positionsLeft} to move, ${positionsMoving} now; ${rate}`]
}

function describeDrive(drive: DriveSummary): string[] {
  const { id, server, state, path, silentMs, report } = drive
  const heard = silentMs === undefined ? 'not heard yet' : `heard ${Math.round(silentMs / 1000)} s ago`
  const head = `drive ${id}  ${state.padEnd(8)} ${server}  ${path}`
  const groups = describeGroups(drive)
  if (report === undefined) return [head, `  ${heard}${groups}`]
  const { blockCount, liveBytes, freeBytes, capacityBytes, damagedBlocks = 0, reason, scrub } = report
  const scrubbed = scrub === undefined ? '' : `, scrub ${percent(scrub.passDoneBytes, scrub.passTotalBytes)}`
  const trouble = damagedBlocks === 0 ? '' : `, ${damagedBlocks} damaged`
  return [
    head,
    `  ${heard}; ${blockCount} blocks${trouble}, ${formatBytes(liveBytes)}; ` +
      `${formatBytes(freeBytes)} free of ${formatBytes(capacityBytes)}${scrubbed}${groups}`,
    ...(reason === undefined ? [] : [`  ${reason}`]),
  ]
}

/** What it holds of the pool, gets and gives away. */
export function describeGroups({ positions = 0, leaving = 0, joining = 0 }: DriveSummary): string {
  const getting = joining === 0 ? '' : `, ${joining} joining`
  const giving = leaving === 0 ? '' : `, ${leaving} leaving`
  return `; ${positions} groups${getting}${giving}`
}

function percent(done: number, total: number): string {
  return total === 0 ? '-' : `${Math.min(100, Math.floor((100 * done) / total))} %`
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** Three digits and a binary unit. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let at = 0
  while (value >= 1024 && at < UNITS.length - 1) {
    value /= 1024
    at++
  }
  return `${at === 0 ? value : value.toPrecision(3)} ${UNITS[at]}`
}
