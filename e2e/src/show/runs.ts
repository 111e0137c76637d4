import { showBackups } from './backups.js'
import { showBadInput } from './bad-input.js'
import { showBitRot } from './bit-rot.js'
import { showClients } from './clients.js'
import { showClusterFaults } from './cluster-faults.js'
import { showClusterLinks } from './cluster-links.js'
import { showCompose } from './compose.js'
import { showDamage } from './damage.js'
import { showDeadServer } from './dead-server.js'
import { showEtcdCommits } from './etcd-commits.js'
import { showEtcdScale } from './etcd-scale.js'
import { showFaults } from './faults.js'
import { showFigures } from './figures.js'
import { showFullDrive } from './full-drive.js'
import { showGrowDrain } from './grow-drain.js'
import { showHeal } from './heal.js'
import { showKeys } from './keys.js'
import { showKill } from './kill.js'
import { showLargeFile } from './large-file.js'
import { showLinearizable } from './linearizable.js'
import { showMemory } from './memory.js'
import { showMetadataReads } from './metadata-reads.js'
import { showMigrate } from './migrate.js'
import { showMovingGroups } from './moving-groups.js'
import { showPause } from './pause.js'
import { showPowerCut } from './power-cut.js'
import { showRaces } from './races.js'
import { showRecover } from './recover.js'
import { showReplace } from './replace.js'
import type { Report } from './report.js'
import { showReturningDrive } from './returning-drive.js'
import { showRollingUpgrade } from './rolling-upgrade.js'
import { showSlowServers } from './slow-servers.js'
import { showStartTime } from './start-time.js'
import { showSyscalls } from './syscalls.js'

/** An acceptance run: real processes, real clients, an outside ledger. */
export type Run = (report: Report) => Promise<void>

/** All runs by name. */
export const RUNS: ReadonlyMap<string, Run> = new Map<string, Run>([
  ['bad-input', (report) => showBadInput(report)],
  ['bit-rot', (report) => showBitRot(report)],
  ['backups', (report) => showBackups(report)],
  ['clients', (report) => showClients(report)],
  ['cluster-faults', (report) => showClusterFaults(report)],
  ['cluster-links', (report) => showClusterLinks(report)],
  ['compose', showCompose],
  ['damage', (report) => showDamage(report)],
  ['dead-server', (report) => showDeadServer(report)],
  ['etcd-commits', (report) => showEtcdCommits(report)],
  ['etcd-scale', (report) => showEtcdScale(report)],
  ['faults', (report) => showFaults(report)],
  ['figures', showFigures],
  ['full-drive', (report) => showFullDrive(report)],
  ['grow-drain', (report) => showGrowDrain(report)],
  ['heal', (report) => showHeal(report)],
  ['keys', showKeys],
  ['kill', (report) => showKill(report, Number(process.env.CAIRN_SHOW_KILLS ?? 200))],
  ['large-file', (report) => showLargeFile(report)],
  ['linearizable', (report) => showLinearizable(report)],
  ['memory', showMemory],
  ['metadata-reads', showMetadataReads],
  ['moving-groups', (report) => showMovingGroups(report)],
  ['migrate', (report) => showMigrate(report)],
  ['pause', showPause],
  ['power-cut', (report) => showPowerCut(report)],
  ['races', (report) => showRaces(report)],
  ['recover', (report) => showRecover(report)],
  ['replace', (report) => showReplace(report)],
  ['returning-drive', (report) => showReturningDrive(report)],
  ['rolling-upgrade', showRollingUpgrade],
  ['slow-servers', (report) => showSlowServers(report)],
  ['start-time', showStartTime],
  ['syscalls', showSyscalls],
])
