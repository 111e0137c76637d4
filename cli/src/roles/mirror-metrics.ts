/** Metrics of the copy of etcd that answers reads. */
import type { MirroredEntryStore, MirrorStatus } from '@cairn/metadata-service'
import type { Metrics } from '../metrics.js'

/** Adds the readings of this process's mirror. */
export function addMirrorMetrics(metrics: Metrics, mirror: MirroredEntryStore): void {
  const reading = (read: (status: MirrorStatus) => number) => () => [{ value: read(mirror.status()) }]
  const states: readonly MirrorStatus['state'][] = ['filling', 'following', 'rebuilding']
  metrics.add({
    name: 'cairn_mirror_state',
    kind: 'gauge',
    help: '1 for what the metadata mirror is doing: it answers reads while it is following.',
    labels: ['state'],
    read: () =>
      states.map((state) => ({ labels: { state }, value: mirror.status().state === state ? 1 : 0 })),
  })
  metrics.add({
    name: 'cairn_mirror_lag_entries',
    kind: 'gauge',
    help: 'Entries of etcd that the mirror had not applied when it last looked.',
    read: reading(({ lagEntries }) => lagEntries),
  })
  metrics.add({
    name: 'cairn_mirror_rows',
    kind: 'gauge',
    help: 'Rows in the mirror.',
    read: reading(({ rows }) => rows),
  })
  metrics.add({
    name: 'cairn_mirror_reads_total',
    kind: 'counter',
    help: 'Reads by who answered them.',
    labels: ['by'],
    read: () => [
      { labels: { by: 'mirror' }, value: mirror.status().readsHere },
      { labels: { by: 'etcd' }, value: mirror.status().readsThere },
    ],
  })
  metrics.add({
    name: 'cairn_mirror_rebuilds_total',
    kind: 'counter',
    help: 'Times that the mirror was read anew from etcd.',
    read: reading(({ rebuilds }) => rebuilds),
  })
  metrics.add({
    name: 'cairn_mirror_mismatches_total',
    kind: 'counter',
    help: 'Ranges in which the audit found the mirror to differ from etcd.',
    read: reading(({ mismatches }) => mismatches),
  })
}
