/** Clients that do random things with a few keys of a reference store, and the history of what they were told. */
import { type Call, CallHistory, type Condition, judge } from '../../src/check/index.js'
import { contentOf, createSeeded, type Seeded } from '../../src/harness/seeded.js'
import { type Answer, etagOf, ReferenceStore, type Version } from './reference-store.js'
import { Schedule } from './schedule.js'
import { type Bug, VERSIONED_BUGS } from './seeded-bugs.js'

const KEYS = ['a', 'b', 'c']
const CLIENTS = 5
const THINK_MS = 40
const KINDS = [
  'put',
  'put',
  'get',
  'get',
  'get',
  'create',
  'replace',
  'delete',
  'list',
  'complete',
  'version',
] as const

export interface RunOptions {
  readonly seed: number
  readonly bug?: Bug | undefined
  /** Of each client. */
  readonly actions: number
}

/** What the checker finds wrong with one run. */
export async function judgeRun({ seed, bug, actions }: RunOptions): Promise<string[]> {
  const seeded = createSeeded(seed)
  const isVersioned = bug === undefined ? seeded.fraction() < 0.3 : VERSIONED_BUGS.includes(bug)
  const schedule = new Schedule()
  const store = new ReferenceStore(schedule, seeded, { bug, isVersioned })
  const history = new CallHistory()
  const clients = Array.from({ length: CLIENTS }, (_, gateway) => {
    return new Client({ store, history, schedule, seeded, isVersioned, gateway }).run(actions)
  })
  await schedule.run()
  await Promise.all(clients)
  return judge(history, isVersioned)
}

interface Surroundings {
  readonly store: ReferenceStore
  readonly history: CallHistory
  readonly schedule: Schedule
  readonly seeded: Seeded
  readonly isVersioned: boolean
  readonly gateway: number
}

class Client {
  private readonly world: Surroundings
  private readonly own: { key: string; op: number }[] = []

  constructor(world: Surroundings) {
    this.world = world
  }

  async run(actions: number): Promise<void> {
    for (let done = 0; done < actions; done++) {
      await this.world.schedule.pause(THINK_MS * this.world.seeded.fraction())
      await this.act()
    }
  }

  private async act(): Promise<void> {
    const { seeded } = this.world
    const key = seeded.pick(KEYS)
    const kind = seeded.pick(KINDS)
    if (kind === 'put') await this.put(key)
    else if (kind === 'create') await this.put(key, 'absent')
    else if (kind === 'replace') await this.replace(key)
    else if (kind === 'complete') await this.complete(key)
    else if (kind === 'delete') await this.remove(key)
    else if (kind === 'list') await this.list()
    else if (kind === 'version') await this.removeVersion()
    else await this.get(key)
  }

  private async put(key: string, condition?: Condition): Promise<void> {
    const { history, store } = this.world
    const op = history.nextOp()
    const version = this.version(op, key, contentOf(`write ${op}`, 50))
    const call = history.begin(key, { kind: 'put', op, ...(condition === undefined ? {} : { condition }) })
    this.note(call, await store.put(key, version, condition))
  }

  private async complete(key: string): Promise<void> {
    const { history, store } = this.world
    const op = history.nextOp()
    const parts = [contentOf(`write ${op} part 1`, 50), contentOf(`write ${op} part 2`, 50)]
    this.version(op, key, Buffer.concat(parts))
    const call = history.begin(key, { kind: 'put', op })
    this.note(call, await store.complete(key, parts, op))
  }

  private version(op: number, key: string, body: Buffer): Version {
    const version = { op, body, etag: etagOf(body) }
    this.world.history.willWrite(op, key, version)
    this.own.push({ key, op })
    return version
  }

  private async replace(key: string): Promise<void> {
    const etag = await this.get(key)
    if (etag !== undefined) await this.put(key, { etag })
  }

  private async remove(key: string): Promise<void> {
    const call = this.world.history.begin(key, { kind: 'delete' })
    this.note(call, await this.world.store.remove(key))
  }

  private async removeVersion(): Promise<void> {
    const { history, store, seeded, isVersioned } = this.world
    if (!isVersioned || this.own.length === 0) return
    const { key, op } = seeded.pick(this.own)
    const call = history.begin(key, { kind: 'delete version', op })
    this.note(call, await store.removeVersion(key, op))
  }

  /** The ETag that was seen. */
  private async get(key: string): Promise<string | undefined> {
    const { history, store, gateway } = this.world
    const call = history.begin(key, { kind: 'read' })
    const answer = await store.get(gateway, key)
    if (answer.kind !== 'done') {
      history.forget(call)
      return undefined
    }
    const found = answer.value
    history.end(call, 'done', found === undefined ? 'absent' : { op: found.op })
    if (found !== undefined) history.readBody(found.op, found)
    return found?.etag
  }

  private async list(): Promise<void> {
    const { history, store, gateway } = this.world
    const calls = history.beginListing(KEYS)
    const answer = await store.list(gateway, KEYS)
    if (answer.kind === 'done') history.endListing(calls, answer.value)
    else for (const call of calls) history.forget(call)
  }

  private note(call: Call, { kind }: Answer<undefined>): void {
    if (kind === 'failed') this.world.history.forget(call)
    else this.world.history.end(call, kind === 'lost' ? 'unknown' : kind)
  }
}
