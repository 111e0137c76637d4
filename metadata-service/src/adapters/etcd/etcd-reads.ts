/**
 * Reads: a transaction that reads something and writes nothing is linearizable, and all its ranges are of one
 * revision. What does not fit one (many reads, ranges that were cut too short) is read in further ones at that same
 * revision.
 */
import { CairnError } from '@cairn/protocol'
import { HEAD_KEY } from '../../core/commit/commit-rows.js'
import type { Read, ReadResult, StoreKey, StoreRange, StoreRow } from '../../ports.js'
import type { Head, SourcePage } from '../../ports-mirror.js'
import { checkReads } from '../embedded/check-request.js'
import type { EtcdConnection } from './etcd-connection.js'
import { FirstLooks, type LookResult } from './etcd-first-looks.js'
import { type EtcdKeys, isVoid } from './etcd-keys.js'
import { OPERATIONS_MAX, WIDE_KEYS } from './etcd-limits.js'
import type { RangeRequest, RangeResponse } from './etcd-messages.js'
import { type Cut, RangeEnds } from './etcd-range-ends.js'

const NOTHING = Buffer.alloc(0)

/** How far one read of a call has come. */
interface Progress {
  readonly read: Read
  rows: readonly StoreRow[]
  /** What is still to be read; `undefined` when the read is done. */
  rest: StoreRange | undefined
  /** Where the range asked for now was cut; in reverse order that is where it begins. */
  cut: Cut | undefined
}

/** The revision that all further reads of a call are made at. */
interface Pinned {
  readonly revision: number
}

export class EtcdReads {
  private readonly connection: EtcdConnection
  private readonly keys: EtcdKeys
  /** Of the row `head`, in etcd. */
  private readonly headKey: Buffer
  private readonly ends = new RangeEnds()
  private readonly looks = new FirstLooks()

  constructor(connection: EtcdConnection, keys: EtcdKeys) {
    this.connection = connection
    this.keys = keys
    this.headKey = keys.outside(HEAD_KEY)
  }

  /** See `EntryStore.read`. */
  read(reads: readonly Read[]): Promise<ReadResult> {
    return this.readAt(reads, undefined)
  }

  /** See `EntryStore.rowsAt`. */
  async rowsAt(keys: readonly StoreKey[], revision: number): Promise<readonly (StoreRow | undefined)[]> {
    const reads = keys.map((key): Read => ({ kind: 'get', key }))
    const { results } = await this.readAt(reads, revision)
    return results.map(([row]) => row)
  }

  /** At the newest revision unless one is given. */
  private async readAt(reads: readonly Read[], at: number | undefined): Promise<ReadResult> {
    checkReads(reads)
    const all = reads.map(begin)
    let revision = at
    for (;;) {
      const open = all.filter(({ rest }) => rest !== undefined).slice(0, OPERATIONS_MAX)
      if (open.length === 0 && revision !== undefined) {
        return { revision, results: all.map(({ rows }) => rows) }
      }
      revision = open.length === 0 ? await this.revision() : await this.readSome(open, revision)
    }
  }

  /** See `MirrorSource.head`. */
  async head(): Promise<Head> {
    const { kvs } = await this.connection.ask('range', { key: this.headKey })
    return { revision: kvs?.[0]?.mod_revision ?? 0, version: kvs?.[0]?.version ?? 0 }
  }

  /** See `MirrorSource.page`. */
  async page(range: StoreRange, limit: number, revision = 0): Promise<SourcePage> {
    checkReads([{ kind: 'scan', range, limit }])
    const asked = isVoid(range) ? { from: NOTHING, to: Buffer.from([0]) } : range
    const request = { ...this.keys.range(asked), limit, revision }
    const found = await this.connection.ask('range', request, 'page')
    return {
      revision: revision > 0 ? revision : (found.header?.revision ?? 0),
      rows: isVoid(range) ? [] : this.rowsOf(found),
      hasMore: !isVoid(range) && found.more === true,
      count: isVoid(range) ? 0 : (found.count ?? 0),
    }
  }

  /** See `MirrorSource.count`. */
  async count(range: StoreRange): Promise<number> {
    if (isVoid(range)) return 0
    const request = { ...this.keys.range(range), count_only: true }
    const { count } = await this.connection.ask('range', request, 'wide')
    return count ?? 0
  }

  /**
   * The revision of the store, whoever writes to it. ● Some row is asked for: a transaction that reads nothing is
   * answered from what the member itself has come to.
   */
  async revision(): Promise<number> {
    const { header } = await this.connection.ask('range', { key: this.headKey, count_only: true })
    return header?.revision ?? 0
  }

  private async readSome(open: readonly Progress[], pinned: number | undefined): Promise<number> {
    const uncut = (): StoreKey[] => open.flatMap((one) => this.uncutEnd(one) ?? [])
    const { revision } = await this.looks.run(uncut, () => this.askFor(open, pinned))
    return revision
  }

  private async askFor(open: readonly Progress[], pinned: number | undefined): Promise<LookResult & Pinned> {
    const success = []
    for (const one of open) success.push({ request_range: await this.toRange(one, pinned ?? 0) })
    const isWide = open.some(({ rest, cut }) => cut !== undefined && cut.end === rest?.to)
    const answer = await this.connection.ask('txn', { success }, isWide ? 'wide' : 'usual')
    let isCheap = true
    open.forEach((one, at) => {
      const found = answer.responses?.[at]?.response_range
      if (found === undefined) throw new CairnError('Internal', 'etcd lost the answer to a read')
      if ((found.count ?? 0) >= WIDE_KEYS) isCheap = false
      this.advance(one, found)
    })
    return { revision: pinned ?? answer.header?.revision ?? 0, isCheap }
  }

  /** The end of a range that is asked for as a whole, whatever that costs. */
  private uncutEnd({ read, rest, rows, cut }: Progress): StoreKey | undefined {
    if (read.kind === 'get' || read.reverse === true || rest === undefined) return undefined
    const { end } = this.ends.cut(rest, read.limit - rows.length, cut)
    return end === rest.to ? end : undefined
  }

  private async toRange(one: Progress, revision: number): Promise<RangeRequest> {
    const { read, rest } = one
    if (read.kind === 'get' || rest === undefined) return { key: this.keys.outside(keyOf(read)), revision }
    if (read.reverse === true) {
      const range = one.cut === undefined ? await this.tail(rest, read.limit) : rest
      one.cut = { end: range.from }
      return { ...this.keys.range(range), limit: read.limit, sort_order: 2, revision }
    }
    const limit = read.limit - one.rows.length
    one.cut = this.ends.cut(rest, limit, one.cut)
    return { ...this.keys.range({ from: rest.from, to: one.cut.end }), limit, revision }
  }

  private advance(one: Progress, found: RangeResponse): void {
    const { read, rest, cut } = one
    const rows = this.rowsOf(found)
    if (read.kind === 'get' || rest === undefined || cut === undefined) {
      one.rows = rows
      one.rest = undefined
    } else if (read.reverse === true) {
      one.rows = rows
      const isWhole = rows.length >= read.limit || Buffer.compare(cut.end, rest.from) === 0
      one.rest = isWhole ? undefined : rest
    } else {
      one.rows = one.rows.concat(rows)
      if (rows.length > 0) this.ends.learn(read.range, one.rows, found.count ?? 0)
      one.rest = one.rows.length >= read.limit ? undefined : after(rest, cut.end)
    }
  }

  /**
   * The last part of a range with at least `limit` of its rows: in reverse order etcd reads the whole range, so it is
   * halved until little is left. If rows went meanwhile and too few are found, the whole range is read after all.
   */
  private async tail(range: StoreRange, limit: number): Promise<StoreRange> {
    let from = range.from
    let count = await this.count(range)
    while (count > Math.max(WIDE_KEYS, 2 * limit)) {
      const middle = between(from, range.to)
      if (middle === undefined) break
      const upper = await this.count({ from: middle, to: range.to })
      if (upper < limit) break
      from = middle
      count = upper
    }
    return { from, to: range.to }
  }

  private rowsOf({ kvs = [] }: RangeResponse): StoreRow[] {
    return kvs.map((found) => this.keys.row(found))
  }
}

function begin(read: Read): Progress {
  const done = read.kind === 'scan' && isVoid(read.range)
  const rest = read.kind === 'scan' ? read.range : { from: read.key, to: read.key }
  return { read, rows: [], rest: done ? undefined : rest, cut: undefined }
}

/** What is left of a range behind a key in it, or at its end. */
function after(range: StoreRange, key: StoreKey): StoreRange | undefined {
  return Buffer.compare(key, range.to) < 0 ? { from: key, to: range.to } : undefined
}

function keyOf(read: Read): StoreKey {
  return read.kind === 'get' ? read.key : read.range.from
}

/** A key about halfway between two. */
function between(from: StoreKey, to: StoreKey): StoreKey | undefined {
  const length = Math.max(from.length, to.length) + 1
  const [low, high] = [from, to].map((key) => BigInt(`0x${Buffer.concat([key], length).toString('hex')}`))
  const middle = ((low ?? 0n) + (high ?? 0n)) / 2n
  if (middle <= (low ?? 0n)) return undefined
  return Buffer.from(middle.toString(16).padStart(2 * length, '0'), 'hex')
}
