/** Metrics of a client's data path. */
import type { ClientCounters, ConnectedClient } from '@cairn/client'
import type { Metrics } from '../metrics.js'

const COUNTERS: readonly (readonly [keyof ClientCounters, string, string])[] = [
  [
    'corruptReplicas',
    'cairn_replicas_corrupt_total',
    'Replicas that were read and found damaged; the read went on with another.',
  ],
  ['missingReplicas', 'cairn_blocks_missing_total', 'Replicas that should be on a drive and are not.'],
  ['degradedBlocks', 'cairn_blocks_degraded_total', 'Blocks written on fewer drives than their pool wants.'],
  ['laggedReplicas', 'cairn_replicas_lagged_total', 'Replicas given up because their drive fell behind.'],
  ['hedgedReads', 'cairn_reads_hedged_total', 'Reads asked of a second replica because the first was slow.'],
  ['failovers', 'cairn_reads_failed_over_total', 'Reads that went on with another replica.'],
  ['repeatedCommits', 'cairn_commits_repeated_total', 'Commits sent again after a lost answer.'],
]

/** Adds the counters of the process's client. */
export function addClientMetrics(metrics: Metrics, client: ConnectedClient): void {
  for (const [key, name, help] of COUNTERS) {
    metrics.add({ name, help, kind: 'counter', read: () => [{ value: client.counters()[key] }] })
  }
}
