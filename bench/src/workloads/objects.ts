/** Workloads on single objects. Names and mixes are those of MinIO's warp: put, get, stat, delete, mixed, range. */
import type { WorkItem } from '../load/work.js'
import type { Stage } from './stage.js'
import type { Workload } from './workload.js'

/** Size, connections and number of requests of one workload. */
export interface Shape {
  readonly sizeBytes: number
  readonly connections: number
  readonly requests: number
}

/** Objects that reads choose from. */
const POOL = 2000

/** `4 KiB`, `1 MiB`. */
export function sizeName(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  let unit = 0
  let value = bytes
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024
  return `${value} ${units[unit]}`
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index))
}

function named(name: string, shape: Shape): Shape & { name: string } {
  return { ...shape, name: `${name} ${sizeName(shape.sizeBytes)}` }
}

/** New objects in every round, as warp's are: what a put over an object costs is told by `overwriteWorkload`. */
export function putWorkload(shape: Shape): Workload {
  const rounds = new WeakMap<Stage, number>()
  return {
    ...named('PUT', shape),
    kind: 'put',
    async prepare(stage) {
      const round = rounds.get(stage) ?? 0
      rounds.set(stage, round + 1)
      return puts(stage, `put${round}`, shape)
    },
  }
}

/** The same objects in every round, the first of which is not measured: each put drops a version. */
export function overwriteWorkload(shape: Shape): Workload {
  return {
    ...named('OVERWRITE', shape),
    kind: 'put',
    prepare: async (stage) => puts(stage, 'overwrite', shape),
  }
}

function puts(stage: Stage, folder: string, shape: Shape): WorkItem[] {
  return times(shape.requests, (index) => stage.put(keyOf(folder, shape, index), shape.sizeBytes))
}

/** Objects are stored before the first round: what their writes leave to be done later is no cost of reading them. */
export function getWorkload(shape: Shape): Workload {
  const pools = new WeakMap<Stage, string[]>()
  return {
    ...named('GET', shape),
    kind: 'get',
    async prepare(stage) {
      const pool = pools.get(stage) ?? (await fillPool(stage, 'get', shape))
      pools.set(stage, pool)
      return times(shape.requests, (index) => {
        const key = pool[(index * 7919) % pool.length] as string
        return stage.item({ method: 'GET', key }, stage.expected(key, shape.sizeBytes))
      })
    },
  }
}

/** 4 KiB in the middle of each object. */
export function rangeWorkload(shape: Shape): Workload {
  const length = 4096
  const from = Math.floor((shape.sizeBytes - length) / 2)
  return {
    ...shape,
    sizeBytes: length,
    name: `GET range of ${sizeName(shape.sizeBytes)}`,
    kind: 'get',
    async prepare(stage) {
      const pool = await fillPool(stage, 'range', shape)
      return times(shape.requests, (index) => {
        const key = pool[index % pool.length] as string
        const headers = { range: `bytes=${from}-${from + length - 1}` }
        return stage.item({ method: 'GET', key, headers }, { status: 206, bodyBytes: length })
      })
    },
  }
}

export function statWorkload(shape: Shape): Workload {
  return {
    ...shape,
    name: 'STAT',
    kind: 'stat',
    async prepare(stage) {
      const pool = await fillPool(stage, 'stat', shape)
      return times(shape.requests, (index) =>
        stage.item({ method: 'HEAD', key: pool[index % pool.length] as string }),
      )
    },
  }
}

export function deleteWorkload(shape: Shape): Workload {
  return {
    ...shape,
    name: 'DELETE',
    kind: 'delete',
    async prepare(stage) {
      const pool = await fillPool(stage, 'delete', shape, shape.requests)
      return pool.map((key) => stage.item({ method: 'DELETE', key }, { status: 204 }))
    },
  }
}

/** warp's mix: GET 45, STAT 30, PUT 15, DELETE 10 of 100. Deletes take objects that nobody reads. */
export function mixedWorkload(shape: Shape): Workload {
  return {
    ...named('mixed', shape),
    kind: 'mixed',
    async prepare(stage) {
      const pool = await fillPool(stage, 'mixed', shape)
      const doomed = await fillPool(stage, 'doomed', shape, Math.ceil(shape.requests / 10))
      return times(shape.requests, (index) => mixedItem(stage, shape, { pool, doomed, index }))
    },
  }
}

function mixedItem(
  stage: Stage,
  shape: Shape,
  { pool, doomed, index }: { pool: string[]; doomed: string[]; index: number },
): WorkItem {
  // 37 and 100 have no common factor: every run of 100 requests has the whole mix, well stirred.
  const draw = (index * 37) % 100
  const key = pool[(index * 7919) % pool.length] as string
  if (draw < 45) return stage.item({ method: 'GET', key }, stage.expected(key, shape.sizeBytes))
  if (draw < 75) return stage.item({ method: 'HEAD', key })
  if (draw < 90) return stage.put(keyOf('mixed-put', shape, index), shape.sizeBytes)
  const gone = doomed.pop()
  return gone === undefined
    ? stage.item({ method: 'HEAD', key })
    : stage.item({ method: 'DELETE', key: gone }, { status: 204 })
}

function keyOf(folder: string, { sizeBytes, connections }: Shape, index: number): string {
  return `${folder}-${sizeBytes}-${connections}/${index % 100}/${index}`
}

async function fillPool(
  stage: Stage,
  folder: string,
  shape: Shape,
  count: number = Math.min(POOL, shape.requests, Math.ceil((256 * 1024 * 1024) / shape.sizeBytes)),
): Promise<string[]> {
  const keys = times(count, (index) => keyOf(folder, shape, index))
  await stage.run(signLazily(stage, keys, shape.sizeBytes))
  return keys
}

function* signLazily(stage: Stage, keys: readonly string[], sizeBytes: number): Iterable<WorkItem> {
  for (const key of keys) yield stage.put(key, sizeBytes)
}
