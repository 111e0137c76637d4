/** Listings of 1,000 keys out of many, with and without a delimiter. */
import type { WorkItem } from '../load/work.js'
import type { Stage } from './stage.js'
import type { Workload } from './workload.js'

const PAGE = 1000
const PER_FOLDER = 1000

export interface ListShape {
  /** Keys in the bucket. */
  readonly keys: number
  readonly connections: number
  readonly requests: number
}

/** Buckets filled in this process, by target and size: both listings share one. */
const FILLED = new Set<string>()

function keyAt(index: number): string {
  const folder = String(Math.floor(index / PER_FOLDER)).padStart(5, '0')
  return `list/${folder}/object-${String(index % PER_FOLDER).padStart(4, '0')}`
}

async function fill(stage: Stage, keys: number): Promise<void> {
  const name = `${stage.bucket}/${keys}`
  if (FILLED.has(name)) return
  FILLED.add(name)
  await stage.run(
    (function* (): Iterable<WorkItem> {
      for (let index = 0; index < keys; index++) yield stage.put(keyAt(index), 1)
    })(),
  )
}

/** Pages that start anywhere in the bucket. */
export function listWorkload(shape: ListShape): Workload {
  return {
    ...workloadOf('LIST', shape),
    async prepare(stage) {
      await fill(stage, shape.keys)
      const pages = Math.max(1, Math.floor(shape.keys / PAGE) - 1)
      const items = Array.from({ length: shape.requests }, (_, index) => {
        const after = encodeURIComponent(keyAt(((index * 7919) % pages) * PAGE))
        return stage.item({
          method: 'GET',
          key: '',
          query: `list-type=2&prefix=list%2F&start-after=${after}`,
        })
      })
      await expectEntries(stage, items[0], '<Key>', Math.min(PAGE, shape.keys))
      return items
    },
  }
}

/** The folders of the bucket: each page skips over the keys below its common prefixes. */
export function listFoldersWorkload(shape: ListShape): Workload {
  const folders = Math.ceil(shape.keys / PER_FOLDER)
  const found = Math.min(PAGE, folders)
  return {
    ...workloadOf('LIST delimiter', shape),
    keys: found,
    async prepare(stage) {
      await fill(stage, shape.keys)
      const query = 'delimiter=%2F&list-type=2&prefix=list%2F'
      const items = Array.from({ length: shape.requests }, () =>
        stage.item({ method: 'GET', key: '', query }),
      )
      await expectEntries(stage, items[0], '<CommonPrefixes>', found)
      return items
    },
  }
}

function workloadOf(name: string, shape: ListShape): Omit<Workload, 'prepare'> {
  return {
    name: `${name} of ${shape.keys}`,
    kind: 'list',
    sizeBytes: 0,
    connections: shape.connections,
    requests: shape.requests,
    keys: Math.min(PAGE, shape.keys),
  }
}

async function expectEntries(
  stage: Stage,
  item: WorkItem | undefined,
  mark: string,
  count: number,
): Promise<void> {
  if (item === undefined) return
  const found = (await stage.ask(item)).body.split(mark).length - 1
  if (found < count) throw new Error(`a page has ${found} of ${count} ${mark}`)
}
