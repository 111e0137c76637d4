/**
 * A store of keys that is right, on a schedule of its own: requests travel, happen at one moment, and their answers
 * travel back or get lost. With a bug switched on it is wrong in that one way. It knows nothing of the product.
 */
import { createHash } from 'node:crypto'
import type { Condition, ListedKey } from '../../src/check/index.js'
import type { Seeded } from '../../src/harness/seeded.js'
import type { Schedule } from './schedule.js'
import type { Bug } from './seeded-bugs.js'

/** What is stored under a key by one write. */
export interface Version {
  readonly op: number
  readonly body: Buffer
  readonly etag: string
}

/** What an answer says. `failed`: it has surely not happened; `lost`: nobody knows. */
export type Answer<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'refused' | 'failed' | 'lost' }

type Head = Version | '-' | undefined

const TRAVEL_MS = 20
const LOST_SHARE = 0.06
/** How often a bug shows where it could. */
const BUG_SHARE = 0.25
const LATE_MS = 120

export function etagOf(body: Buffer): string {
  return createHash('md5').update(body).digest('hex')
}

export class ReferenceStore {
  private readonly schedule: Schedule
  private readonly seeded: Seeded
  private readonly bug: Bug | undefined
  private readonly isVersioned: boolean
  /** Newest first; all that was ever the head of a key, for bugs that look back. */
  private readonly rows = new Map<string, (Version | '-')[]>()
  private readonly past = new Map<string, Version[]>()
  private readonly caches = new Map<string, { readonly head: Head; readonly untilMs: number }>()

  constructor(schedule: Schedule, seeded: Seeded, options: { bug?: Bug | undefined; isVersioned: boolean }) {
    this.schedule = schedule
    this.seeded = seeded
    this.bug = options.bug
    this.isVersioned = options.isVersioned
  }

  async put(key: string, version: Version, condition?: Condition): Promise<Answer<undefined>> {
    await this.travel()
    const early = this.holds(this.headOf(key), condition)
    if (this.strikes('condition before commit')) await this.schedule.pause(LATE_MS)
    const now = this.isBug('condition before commit') ? early : this.holds(this.headOf(key), condition)
    if (!this.admits(now, condition)) return this.answer({ kind: 'refused' })
    if (this.strikes('lost write')) return this.answer({ kind: 'done', value: undefined })
    if (this.isBug('older clock wins') && this.isOlder(key, version))
      return this.answer({ kind: 'done', value: undefined })
    if (this.strikes('acknowledged before it happens')) {
      this.later(() => this.store(key, version))
      return this.answer({ kind: 'done', value: undefined })
    }
    this.store(key, version)
    if (this.strikes('refused although it happened'))
      return { kind: condition === undefined ? 'failed' : 'refused' }
    if (this.strikes('retry applied twice')) this.later(() => this.store(key, version))
    return this.answer({ kind: 'done', value: undefined }, 'failure without proof')
  }

  /** As a put, of parts that travelled before. */
  async complete(key: string, parts: readonly Buffer[], op: number): Promise<Answer<undefined>> {
    const body = Buffer.concat(parts)
    const version = { op, body, etag: etagOf(body) }
    if (this.strikes('torn multipart'))
      return this.put(key, { ...version, body: Buffer.concat(parts.slice(1)) })
    if (this.strikes('parts in the wrong order')) {
      return this.put(key, { ...version, body: Buffer.concat([...parts].reverse()) })
    }
    const answer = await this.put(key, version)
    if (this.isBug('complete happens again when asked again') && answer.kind === 'lost') {
      await this.schedule.pause(LATE_MS)
      this.store(key, version)
      return { kind: 'done', value: undefined }
    }
    return answer
  }

  async remove(key: string): Promise<Answer<undefined>> {
    await this.travel()
    const old = this.headOf(key)
    if (this.strikes('lost delete')) return this.answer({ kind: 'done', value: undefined })
    this.pushDeletion(key)
    if (this.strikes('delete applied twice')) this.later(() => this.pushDeletion(key))
    if (this.strikes('resurrected delete') && old !== undefined && old !== '-')
      this.later(() => this.store(key, old))
    return this.answer({ kind: 'done', value: undefined }, 'failure without proof')
  }

  async removeVersion(key: string, op: number): Promise<Answer<undefined>> {
    await this.travel()
    const row = this.rows.get(key) ?? []
    if (this.strikes('version not deleted')) return this.answer({ kind: 'done', value: undefined })
    const isWrong = this.strikes('wrong version deleted')
    const removed = isWrong ? row.findIndex((each) => each !== '-' && each.op !== op) : this.indexOf(row, op)
    const [old] = removed < 0 ? [] : row.splice(removed, 1)
    if (this.strikes('deleted version returns') && old !== undefined) this.later(() => row.unshift(old))
    return this.answer({ kind: 'done', value: undefined })
  }

  async get(gateway: number, key: string): Promise<Answer<Version | undefined>> {
    await this.travel()
    return this.answer({ kind: 'done', value: this.read(gateway, key) })
  }

  async list(gateway: number, keys: readonly string[]): Promise<Answer<readonly ListedKey[]>> {
    await this.travel()
    let listed = keys.flatMap((key) => {
      const head = this.listedHead(gateway, key)
      return head === undefined || head === '-' ? [] : [{ key, etag: head.etag }]
    })
    if (this.strikes('list misses a key')) listed = listed.slice(1)
    if (this.strikes('list shows a key twice'))
      listed = listed.flatMap((each, at) => (at === 0 ? [each, each] : [each]))
    if (this.strikes('list out of order')) listed.reverse()
    if (this.strikes('list shows what nobody wrote')) listed.push({ key: 'zzz', etag: 'none' })
    return this.answer({ kind: 'done', value: listed })
  }

  private read(gateway: number, key: string): Version | undefined {
    const head = this.cachedHead(gateway, key)
    const past = this.past.get(key) ?? []
    if (this.strikes('time travel') && past.length > 0) return this.seeded.pick(past)
    if (head === undefined || head === '-') {
      return this.strikes('delete marker read through') ? past.at(-1) : undefined
    }
    return this.strikes('absent although it is there') ? undefined : this.spoilt(key, head)
  }

  /** The version with bytes that are not its own. */
  private spoilt(key: string, version: Version): Version {
    const { body } = version
    if (this.strikes('truncated body')) return { ...version, body: body.subarray(1) }
    if (this.strikes('bytes of another version'))
      return { ...version, body: this.past.get(key)?.[0]?.body ?? body }
    const other = [...this.past].find(([name]) => name !== key)?.[1].at(-1)
    return this.strikes('bytes of another key') ? { ...version, body: other?.body ?? body } : version
  }

  /** A gateway's own idea of a key, with bugs of caches. */
  private cachedHead(gateway: number, key: string): Head {
    if (!this.isBug('stale read')) return this.headOf(key)
    const name = `${gateway} ${key}`
    const cached = this.caches.get(name)
    if (cached !== undefined && cached.untilMs > this.schedule.nowMs) return cached.head
    const head = this.headOf(key)
    this.caches.set(name, { head, untilMs: this.schedule.nowMs + LATE_MS })
    return head
  }

  private listedHead(gateway: number, key: string): Head {
    if (this.strikes('list shows a deleted key')) return this.past.get(key)?.at(-1)
    if (this.strikes('list shows an old ETag')) return this.past.get(key)?.at(-2) ?? this.headOf(key)
    return this.cachedHead(gateway, key)
  }

  private headOf(key: string): Head {
    return this.rows.get(key)?.[0]
  }

  private store(key: string, version: Version): void {
    const row = this.rows.get(key) ?? []
    const replaces = !this.isVersioned || this.strikes('versions overwritten')
    this.rows.set(key, replaces ? [version] : [version, ...row])
    this.past.set(key, [...(this.past.get(key) ?? []), version])
  }

  private pushDeletion(key: string): void {
    const row = this.rows.get(key) ?? []
    this.rows.set(key, this.isVersioned ? ['-', ...row] : [])
  }

  private indexOf(row: readonly (Version | '-')[], op: number): number {
    return row.findIndex((each) => each !== '-' && each.op === op)
  }

  private isOlder(key: string, version: Version): boolean {
    const head = this.headOf(key)
    return head !== undefined && head !== '-' && version.op < head.op
  }

  private holds(head: Head, condition: Condition | undefined): boolean {
    if (condition === undefined) return true
    const isAbsent = head === undefined || head === '-'
    if (condition === 'absent') return isAbsent
    return !isAbsent && head.etag === condition.etag
  }

  private admits(holds: boolean, condition: Condition | undefined): boolean {
    if (condition === undefined) return true
    if (condition === 'absent' && this.strikes('two winners')) return true
    if (condition !== 'absent' && this.strikes('stale ETag admitted')) return true
    if (this.strikes('good condition refused')) return false
    return holds
  }

  private isBug(bug: Bug): boolean {
    return this.bug === bug
  }

  private strikes(bug: Bug): boolean {
    return this.bug === bug && this.seeded.fraction() < BUG_SHARE
  }

  private later(act: () => void): void {
    this.schedule.after(LATE_MS * this.seeded.fraction(), act)
  }

  private travel(): Promise<void> {
    return this.schedule.pause(TRAVEL_MS * this.seeded.fraction())
  }

  /** The answer travels back, or gets lost. */
  private async answer<T>(answer: Answer<T>, liar?: Bug): Promise<Answer<T>> {
    await this.travel()
    if (this.seeded.fraction() >= LOST_SHARE) return answer
    return { kind: liar !== undefined && this.isBug(liar) ? 'failed' : 'lost' }
  }
}
