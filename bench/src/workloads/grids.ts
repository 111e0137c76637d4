/** Which workloads a run has. */
import { copyWorkload } from './copies.js'
import { listFoldersWorkload, listWorkload } from './listings.js'
import {
  deleteWorkload,
  getWorkload,
  mixedWorkload,
  overwriteWorkload,
  putWorkload,
  rangeWorkload,
  statWorkload,
} from './objects.js'
import type { Workload } from './workload.js'

const KIB = 1024
const MIB = 1024 * KIB

export interface GridOptions {
  /** 1 for the full number of requests. */
  readonly scale: number
  /** Keys in the bucket that is listed. */
  readonly listKeys: number
  /** Only workloads whose `name, connections` contains one of these; all when empty. */
  readonly only: readonly string[]
}

/** Requests of small workloads by connections. */
const SMALL_REQUESTS: readonly (readonly [connections: number, requests: number])[] = [
  [1, 3000],
  [16, 20_000],
  [64, 30_000],
  [256, 30_000],
]

export function grid({ scale, listKeys, only }: GridOptions): readonly Workload[] {
  const some = (requests: number): number => Math.max(4, Math.round(requests * scale))
  const small = (make: typeof putWorkload, sizeBytes: number): Workload[] =>
    SMALL_REQUESTS.map(([connections, requests]) =>
      make({ sizeBytes, connections, requests: some(requests) }),
    )
  const all = [
    ...small(putWorkload, 4 * KIB),
    overwriteWorkload({ sizeBytes: 4 * KIB, connections: 64, requests: some(30_000) }),
    ...small(getWorkload, 4 * KIB),
    putWorkload({ sizeBytes: 64 * KIB, connections: 16, requests: some(6000) }),
    getWorkload({ sizeBytes: 64 * KIB, connections: 16, requests: some(12_000) }),
    putWorkload({ sizeBytes: MIB, connections: 16, requests: some(800) }),
    getWorkload({ sizeBytes: MIB, connections: 16, requests: some(2000) }),
    putWorkload({ sizeBytes: 64 * MIB, connections: 1, requests: some(8) }),
    getWorkload({ sizeBytes: 64 * MIB, connections: 1, requests: some(8) }),
    rangeWorkload({ sizeBytes: 8 * MIB, connections: 16, requests: some(10_000) }),
    statWorkload({ sizeBytes: 4 * KIB, connections: 64, requests: some(30_000) }),
    deleteWorkload({ sizeBytes: 4 * KIB, connections: 64, requests: some(10_000) }),
    mixedWorkload({ sizeBytes: 4 * KIB, connections: 20, requests: some(20_000) }),
    mixedWorkload({ sizeBytes: 10 * MIB, connections: 20, requests: some(200) }),
    copyWorkload({ sizeBytes: KIB, connections: 4, requests: some(2000) }),
    copyWorkload({ sizeBytes: 1024 * MIB, connections: 4, requests: some(2000) }),
    listWorkload({ keys: listKeys, connections: 1, requests: some(400) }),
    listFoldersWorkload({ keys: listKeys, connections: 1, requests: some(400) }),
  ]
  if (only.length === 0) return all
  return all.filter(({ name, connections }) => only.some((part) => `${name}, ${connections}`.includes(part)))
}
