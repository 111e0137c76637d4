/** Where a follower of etcd stands, and whether it may believe what comes next. See `etcd-follow.ts`. */
import { CairnError } from '@cairn/protocol'
import type { StoreKey } from '../../ports.js'
import type { SourceChange, SourceEvent } from '../../ports-mirror.js'
import type { EtcdKeys } from './etcd-keys.js'
import type { EtcdEvent, WatchResponse } from './etcd-messages.js'

export interface FollowPlaceOptions {
  readonly keys: EtcdKeys
  /** Every entry writes it. */
  readonly headKey: StoreKey
}

export class FollowPlace {
  revision: number
  /** Answers taken so far. */
  answers = 0
  /** False while the follower is busy with what it was given. */
  isWaiting = true
  private readonly options: FollowPlaceOptions
  private headVersion: number | undefined
  private fragments: EtcdEvent[] = []

  constructor(options: FollowPlaceOptions, fromRevision: number) {
    this.options = options
    this.revision = fromRevision
  }

  /** What an answer of the stream brings. Throws `Busy` when it cannot be believed. */
  *take(answer: WatchResponse): Generator<SourceChange> {
    this.answers++
    this.assertFollowed(answer)
    for (const event of answer.events ?? []) this.fragments.push(event)
    if (answer.fragment === true) return
    const events = this.fragments
    this.fragments = []
    for (let from = 0; from < events.length; ) {
      const revision = events[from]?.kv.mod_revision ?? 0
      let to = from + 1
      while (to < events.length && events[to]?.kv.mod_revision === revision) to++
      yield this.toChange(revision, events.slice(from, to))
      from = to
    }
  }

  private assertFollowed(answer: WatchResponse): void {
    if (answer.canceled === true) {
      throw doubt(answer.cancel_reason || `history before ${answer.compact_revision}`)
    }
    if (answer.created === true && (answer.header?.revision ?? 0) < this.revision) {
      throw doubt('the store is older than its follower')
    }
  }

  private toChange(revision: number, events: readonly EtcdEvent[]): SourceChange {
    if (revision <= this.revision) throw doubt(`revision ${revision} comes after ${this.revision}`)
    this.revision = revision
    const { keys, headKey } = this.options
    let headVersion: number | undefined
    const told = events.map(({ type, kv }): SourceEvent => {
      const key = keys.inside(kv.key)
      if (Buffer.compare(key, headKey) === 0) headVersion = kv.version ?? 0
      if (type === 1) return { key }
      return { key, value: kv.value ?? Buffer.alloc(0), created: kv.create_revision ?? 0 }
    })
    if (headVersion === undefined) return { revision, events: told }
    this.checkHead(headVersion)
    return { revision, events: told, headVersion }
  }

  private checkHead(version: number): void {
    const last = this.headVersion
    if (last !== undefined && version !== last + 1) throw doubt(`entry ${version} comes after ${last}`)
    this.headVersion = version
  }
}

/** Something may be missing. */
export function doubt(why: string, cause?: unknown): CairnError {
  return new CairnError('Busy', `a follower of etcd must begin anew: ${why}`, { cause })
}
