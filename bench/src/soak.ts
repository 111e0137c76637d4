/**
 * `node bench/dist/src/soak.js`: warp's mix (GET 45, STAT 30, PUT 15, DELETE 10) on 4 KiB objects, as long as asked.
 * Prints one JSON line {done, residentBytes} after each `--every` requests: memory should not grow with them.
 */
import { parseArgs } from 'node:util'
import { runClosedLoop } from './load/closed-loop.js'
import type { WorkItem } from './load/work.js'
import { residentBytes } from './process-usage.js'
import { parseTarget } from './target.js'
import { openStage, type Stage } from './workloads/stage.js'

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: '' },
    requests: { type: 'string', default: '100000' },
    every: { type: 'string', default: '100000' },
    connections: { type: 'string', default: '32' },
  },
})

const SIZE = 4096
const POOL = 1000
/** Puts that lie between the put of an object and its delete: it has been answered by then. */
const DELAY = 1000

/** The n-th request of an endless mix; `made` are keys put and not deleted yet. */
function next(stage: Stage, index: number, made: string[]): WorkItem {
  const draw = (index * 37) % 100
  const key = `pool/${(index * 7919) % POOL}`
  if (draw < 45) return stage.item({ method: 'GET', key }, stage.expected(key, SIZE))
  if (draw < 85 && draw >= 55) return stage.item({ method: 'HEAD', key })
  const doomed = draw < 55 && made.length > DELAY ? made.shift() : undefined
  if (doomed !== undefined) return stage.item({ method: 'DELETE', key: doomed }, { status: 204 })
  const fresh = `made/${index % 100}/${index}`
  made.push(fresh)
  return stage.put(fresh, SIZE)
}

const target = parseTarget(values.target)
const stage = await openStage(target)
await stage.run(Array.from({ length: POOL }, (_, index) => stage.put(`pool/${index}`, SIZE)))
const requests = Number(values.requests)
const every = Number(values.every)
const made: string[] = []
for (let done = 0; done < requests; done += every) {
  const items = function* (): Iterable<WorkItem> {
    for (let index = done; index < done + every; index++) yield next(stage, index, made)
  }
  await runClosedLoop({
    endpoint: target.endpoint,
    connections: Number(values.connections),
    items: items(),
  })
  const bytes = await residentBytes(target.pids)
  process.stdout.write(`${JSON.stringify({ done: done + every, residentBytes: bytes })}\n`)
}
