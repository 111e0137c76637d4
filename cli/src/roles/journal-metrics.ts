/** Metrics of the copies of the metadata on the drives. */
import type { JournalDriveStatus, JournaledEntryStore } from '@cairn/metadata-service'
import type { Metrics } from '../metrics.js'

/** Adds the readings of this process's journal. */
export function addJournalMetrics(metrics: Metrics, journal: JournaledEntryStore): void {
  const perDrive = (read: (drive: JournalDriveStatus) => number) => () =>
    journal.status().drives.map((drive) => ({ labels: { drive: drive.folder }, value: read(drive) }))
  metrics.add({
    name: 'cairn_journal_lag_seconds',
    kind: 'gauge',
    help: 'Age of the oldest metadata entry that is not yet on the drive, or time since its copy was lost.',
    labels: ['drive'],
    read: perDrive(({ lagSeconds }) => lagSeconds),
  })
  metrics.add({
    name: 'cairn_journal_failed',
    kind: 'gauge',
    help: '1 while the drive holds no usable copy of the metadata.',
    labels: ['drive'],
    read: perDrive(({ state }) => (state === 'follows' ? 0 : 1)),
  })
  metrics.add({
    name: 'cairn_journal_fsyncs_total',
    kind: 'counter',
    help: 'Calls of fsync and fdatasync for the copies of metadata entries on the drive.',
    labels: ['drive'],
    read: perDrive(({ syncs }) => syncs),
  })
  metrics.add({
    name: 'cairn_journal_bytes_total',
    kind: 'counter',
    help: 'Bytes of metadata entries given to the journals.',
    read: () => [{ value: journal.status().frameBytes }],
  })
  metrics.add({
    name: 'cairn_metadata_checkpoints_total',
    kind: 'counter',
    help: 'Checkpoints of the metadata made on drives.',
    read: () => [{ value: journal.status().checkpoints }],
  })
}
