/** Metrics of a chunk server's drives. */
import type { ChunkServer, ServedDrive, StoreCounters } from '@cairn/chunk-server'
import type { GaugeSource, Metrics } from '../metrics.js'

/** One that the drive cannot tell now is left out. */
type Reading = readonly [name: string, help: string, read: (drive: ServedDrive) => number | undefined]

const GAUGES: readonly Reading[] = [
  ['cairn_drive_up', '1 if the drive takes writes.', ({ condition }) => (condition === 'up' ? 1 : 0)],
  // Left out while the disk does not answer: one of 0 bytes would be full.
  [
    'cairn_drive_capacity_bytes',
    'Size of the file system that the drive lies on.',
    ({ space }) => space?.capacityBytes,
  ],
  ['cairn_drive_free_bytes', 'Bytes of it that are free.', ({ space }) => space?.freeBytes],
  ['cairn_drive_live_bytes', 'Bytes of blocks that are kept.', (drive) => drive.usage().liveBytes],
  ['cairn_drive_dead_bytes', 'Bytes that compaction can give back.', (drive) => drive.usage().deadBytes],
  ['cairn_drive_blocks', 'Blocks on the drive.', (drive) => drive.usage().blockCount],
  [
    'cairn_blocks_damaged',
    'Blocks whose copy on the drive is known to be damaged.',
    (drive) => drive.usage().damagedBlocks,
  ],
]

const COUNTERS: readonly Reading[] = [
  ['cairn_drive_fsyncs_total', 'Calls of fsync and fdatasync for blocks.', counted('fsyncs')],
  [
    'cairn_drive_index_fsyncs_total',
    'Calls of fsync for the index of blocks, which is written behind.',
    (drive) => drive.indexSyncs(),
  ],
  ['cairn_drive_records_total', 'Records written to the log.', counted('records')],
  ['cairn_drive_bytes_written_total', 'Bytes written to the log.', counted('bytesWritten')],
  ['cairn_blocks_corrupt_total', 'Damaged blocks found on the drive.', counted('blocksCorrupt')],
  ['cairn_blocks_scrubbed_total', 'Blocks that scrub has read and verified.', counted('blocksScrubbed')],
  ['cairn_scrub_bytes_total', 'Bytes of blocks that scrub has read and verified.', counted('bytesScrubbed')],
  [
    'cairn_segments_damaged_total',
    'Damaged ranges of segments that were skipped.',
    counted('rangesQuarantined'),
  ],
  ['cairn_compaction_bytes_total', 'Bytes that compaction copied.', counted('bytesCompacted')],
  ['cairn_compaction_segments_total', 'Segments that compaction removed.', counted('segmentsRemoved')],
]

/** Adds the gauges and counters of all drives of these servers. */
export function addChunkMetrics(metrics: Metrics, servers: readonly ChunkServer[]): void {
  const add = (kind: GaugeSource['kind'], [name, help, read]: Reading): void =>
    metrics.add({
      name,
      help,
      kind,
      labels: ['drive'],
      read: () => servers.flatMap((server) => readDrives(server.drives(), read)),
    })
  for (const reading of GAUGES) add('gauge', reading)
  for (const reading of COUNTERS) add('counter', reading)
}

function readDrives(drives: readonly ServedDrive[], read: Reading[2]): ReturnType<GaugeSource['read']> {
  return drives.flatMap((drive) => {
    const value = read(drive)
    return value === undefined ? [] : [{ labels: { drive: drive.id ?? drive.name }, value }]
  })
}

function counted(key: keyof StoreCounters): (drive: ServedDrive) => number {
  return (drive) => drive.counters()?.[key] ?? 0
}
