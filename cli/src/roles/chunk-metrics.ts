/** Metrics of a chunk server's drives. */
import type { ChunkServer, ServedDrive, StoreCounters } from '@cairn/chunk-server'
import type { Metrics } from '../metrics.js'

/** Adds the gauges and counters of all drives of these servers. */
export function addChunkMetrics(metrics: Metrics, servers: readonly ChunkServer[]): void {
  function perDrive(
    name: string,
    help: string,
    kind: 'counter' | 'gauge',
    value: (drive: ServedDrive) => number,
  ): void {
    const read = () =>
      servers
        .flatMap((server) => server.drives())
        .map((drive) => ({ labels: { drive: drive.id ?? drive.name }, value: value(drive) }))
    metrics.add({ name, help, kind, labels: ['drive'], read })
  }
  function counter(name: string, help: string, key: keyof StoreCounters): void {
    perDrive(name, help, 'counter', (drive) => drive.counters()?.[key] ?? 0)
  }
  perDrive('cairn_drive_up', '1 if the drive takes writes.', 'gauge', (drive) =>
    drive.condition === 'up' ? 1 : 0,
  )
  perDrive(
    'cairn_drive_live_bytes',
    'Bytes of blocks that are kept.',
    'gauge',
    (drive) => drive.usage().liveBytes,
  )
  perDrive(
    'cairn_drive_dead_bytes',
    'Bytes that compaction can give back.',
    'gauge',
    (drive) => drive.usage().deadBytes,
  )
  perDrive('cairn_drive_blocks', 'Blocks on the drive.', 'gauge', (drive) => drive.usage().blockCount)
  counter('cairn_drive_fsyncs_total', 'Calls of fsync and fdatasync for blocks.', 'fsyncs')
  perDrive(
    'cairn_drive_index_fsyncs_total',
    'Calls of fsync for the index of blocks, which is written behind.',
    'counter',
    (drive) => drive.indexSyncs(),
  )
  counter('cairn_drive_records_total', 'Records written to the log.', 'records')
  counter('cairn_drive_bytes_written_total', 'Bytes written to the log.', 'bytesWritten')
  counter('cairn_blocks_corrupt_total', 'Damaged blocks found on the drive.', 'blocksCorrupt')
  perDrive(
    'cairn_blocks_damaged',
    'Blocks whose copy on the drive is known to be damaged.',
    'gauge',
    (drive) => drive.usage().damagedBlocks,
  )
  counter('cairn_blocks_scrubbed_total', 'Blocks that scrub has read and verified.', 'blocksScrubbed')
  counter('cairn_scrub_bytes_total', 'Bytes of blocks that scrub has read and verified.', 'bytesScrubbed')
  counter(
    'cairn_segments_damaged_total',
    'Damaged ranges of segments that were skipped.',
    'rangesQuarantined',
  )
  counter('cairn_compaction_bytes_total', 'Bytes that compaction copied.', 'bytesCompacted')
  counter('cairn_compaction_segments_total', 'Segments that compaction removed.', 'segmentsRemoved')
}
