/** Metrics of the members of etcd: how full they are. */
import type { EtcdEntryStore } from '@cairn/metadata-service'
import type { Metrics } from '../metrics.js'

type Space = ReturnType<EtcdEntryStore['space']>[number]

/** Adds the readings of the store's last look. */
export function addEtcdMetrics(metrics: Metrics, store: Pick<EtcdEntryStore, 'space'>): void {
  function add(name: string, help: string, read: (space: Space) => number): void {
    metrics.add({
      name,
      kind: 'gauge',
      help,
      labels: ['member'],
      read: () => store.space().map((space) => ({ labels: { member: space.member }, value: read(space) })),
    })
  }
  add('cairn_etcd_bytes', 'Bytes in use of the database of a member of etcd.', ({ bytes }) => bytes)
  add('cairn_etcd_file_bytes', 'Bytes of its file.', ({ fileBytes }) => fileBytes)
  add('cairn_etcd_quota_bytes', 'Bytes at which it takes no more writes.', ({ quotaBytes }) => quotaBytes)
  add('cairn_etcd_refuses', '1 if it takes no writes for want of space.', ({ isRefusing }) =>
    Number(isRefusing),
  )
}
