/**
 * What a request must cost at least on this machine, from the probes of the same run: the sum of what no server that
 * keeps S3's and our own promises can leave out. Metadata, framing and placement are left out, so nobody reaches 1.
 */
import type { Probes } from './probes.js'
import type { Workload } from './workloads/workload.js'

/** Copies that a write is stored in. */
export interface LimitOptions {
  readonly copies: number
}

const MEGABYTE = 1_000_000

/** Least CPU time of one request, over all server processes, in µs. */
export function leastCpuMicros(workload: Workload, probes: Probes, { copies }: LimitOptions): number {
  const { kind, sizeBytes, keys = 0 } = workload
  const megabytes = sizeBytes / MEGABYTE
  const head = probes.emptyReplyCpuMicros + probes.signatureCpuMicros
  const crc = (1e6 * megabytes) / probes.crc32MegabytesPerSecond
  const md5 = (1e6 * megabytes) / probes.md5MegabytesPerSecond
  const received = megabytes * probes.receiveCpuMicrosPerMegabyte
  const written = megabytes * copies * probes.writeCpuMicrosPerMegabyte
  const put = head + received + md5 + crc + written
  const get =
    head + crc + (sizeBytes / 4096 / 16) * probes.readCpuMicros + megabytes * probes.sendCpuMicrosPerMegabyte
  switch (kind) {
    case 'put':
      return put
    case 'get':
      return get
    case 'list':
      return head + keys * probes.listEntryCpuMicros
    case 'mixed':
      return 0.45 * get + 0.15 * put + 0.4 * head
    default:
      return head
  }
}
