/** `cairn status [--json]`: the cluster as its metadata service sees it. */
import type { ClusterStatus, DriveSummary } from '@cairn/protocol'
import type { Config } from '../config.js'
import { askAdmin } from '../http/ask-admin.js'

/** Text or JSON of a running server's state. Rejects with `AdminError`. */
export async function status(config: Config, { json }: { readonly json: boolean }): Promise<string> {
  const found = await askAdmin<ClusterStatus>(config, 'GET', 'status')
  return json ? JSON.stringify(found, null, 2) : describeStatus(found)
}

/** A screen of it. */
export function describeStatus(status: ClusterStatus): string {
  const { repair } = status
  const notes = [
    ...(status.safeMode ? ['safe mode: nothing is deleted or repaired yet'] : []),
    ...(status.garbageHeld ? ['restored: nothing is deleted until `cairn fsck --accept`'] : []),
  ]
  const compared = `comparing drives: ${repair.blocksCompared} of about ${repair.blocksToCompare} blocks`
  return [
    `cluster ${status.clusterId}  epoch ${status.epoch}  incarnation ${status.incarnation}`,
    ...notes,
    '',
    ...status.drives.flatMap(describeDrive),
    '',
    `under-replicated ${repair.underReplicated}  unavailable ${repair.unavailable}  groups owing copies ${repair.dirtyGroups}`,
    `repaired ${repair.blocksRepaired} blocks, ${formatBytes(repair.bytesRepaired)}; failed copies ${repair.failures}`,
    ...(repair.comparing ? [compared] : []),
    `garbage ${formatBytes(status.garbageBytes)}`,
  ].join('\n')
}

function describeDrive({ id, server, state, path, silentMs, report }: DriveSummary): string[] {
  const heard = silentMs === undefined ? 'not heard yet' : `heard ${Math.round(silentMs / 1000)} s ago`
  const head = `drive ${id}  ${state.padEnd(8)} ${server}  ${path}`
  if (report === undefined) return [head, `  ${heard}`]
  const { blockCount, liveBytes, freeBytes, capacityBytes, damagedBlocks = 0, reason, scrub } = report
  const scrubbed = scrub === undefined ? '' : `, scrub ${percent(scrub.passDoneBytes, scrub.passTotalBytes)}`
  const trouble = damagedBlocks === 0 ? '' : `, ${damagedBlocks} damaged`
  return [
    head,
    `  ${heard}; ${blockCount} blocks${trouble}, ${formatBytes(liveBytes)}; ` +
      `${formatBytes(freeBytes)} free of ${formatBytes(capacityBytes)}${scrubbed}`,
    ...(reason === undefined ? [] : [`  ${reason}`]),
  ]
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
