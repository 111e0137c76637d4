/**
 * What clients asked of each key and what they were told. Invocations and returns are numbered through, so that
 * "before" is certain. A write whose outcome nobody was told stays possible for ever.
 */

/** A version of a key is named by the number of the write that made it. */
export type Effect =
  | { readonly kind: 'put'; readonly op: number; readonly condition?: Condition }
  | { readonly kind: 'delete' }
  | { readonly kind: 'delete version'; readonly op: number }
  | { readonly kind: 'read' }

/** `absent`: If-None-Match *; otherwise the ETag of If-Match. */
export type Condition = 'absent' | { readonly etag: string }

/** What a read saw of the current version. A listing shows no metadata, so only the ETag. */
export type Seen = 'absent' | { readonly op: number } | { readonly etag: string }

/** `refused`: by its precondition. */
export type Outcome = 'open' | 'done' | 'refused' | 'unknown'

export interface Call {
  readonly key: string
  readonly effect: Effect
  readonly invokedAt: number
  returnedAt: number
  outcome: Outcome
  seen?: Seen
}

/** What was written by each write. */
export interface Written {
  readonly key: string
  readonly body: Buffer
  readonly etag: string
  versionId?: string
  /** The write was acknowledged. */
  isAcknowledged: boolean
  /** Someone tried to delete this very version. */
  deletion: 'none' | 'tried' | 'done'
}

/** One entry of a listing. */
export interface ListedKey {
  readonly key: string
  readonly etag: string
}

export class CallHistory {
  readonly calls: Call[] = []
  readonly written: Map<number, Written> = new Map()
  readonly violations: string[] = []
  private now = 0
  private ops = 0

  /** Numbers a write. */
  nextOp(): number {
    return ++this.ops
  }

  /** Notes what write `op` will write if it happens. */
  willWrite(op: number, key: string, { body, etag }: Pick<Written, 'body' | 'etag'>): void {
    this.written.set(op, { key, body, etag, isAcknowledged: false, deletion: 'none' })
  }

  begin(key: string, effect: Effect): Call {
    const call: Call = { key, effect, invokedAt: ++this.now, returnedAt: Infinity, outcome: 'open' }
    this.calls.push(call)
    return call
  }

  end(call: Call, outcome: Outcome, seen?: Seen): void {
    call.outcome = outcome
    if (outcome !== 'unknown') call.returnedAt = ++this.now
    if (seen !== undefined) call.seen = seen
  }

  /** Surely has not happened, and says nothing about the key. */
  forget(call: Call): void {
    this.calls.splice(this.calls.lastIndexOf(call), 1)
  }

  violate(what: string): void {
    this.violations.push(what)
  }

  /** A listing is a read of every key at once; returns the calls to end by `endListing`, or to forget. */
  beginListing(keys: readonly string[]): Call[] {
    return keys.map((key) => this.begin(key, { kind: 'read' }))
  }

  /** What a whole listing showed: each key once, in order, and nothing that was never written. */
  endListing(calls: readonly Call[], listed: readonly ListedKey[]): void {
    const found = new Map(listed.map(({ key, etag }) => [key, etag]))
    for (const call of calls) {
      const etag = found.get(call.key)
      this.end(call, 'done', etag === undefined ? 'absent' : { etag })
      found.delete(call.key)
    }
    for (const key of found.keys()) this.violate(`a listing shows ${key}, which nobody has written`)
    for (const [at, { key }] of listed.entries()) {
      const next = listed[at + 1]
      if (next !== undefined && Buffer.compare(Buffer.from(key), Buffer.from(next.key)) >= 0)
        this.violate(`a listing shows ${key} before ${next.key}`)
    }
  }

  /** A whole body that was read, and the write it belongs to by what else the answer said. */
  readBody(op: number, { body, etag }: Pick<Written, 'body' | 'etag'>): void {
    const written = this.written.get(op)
    if (written === undefined) {
      this.violate(`a read shows write ${op}, which was never made`)
      return
    }
    if (!written.body.equals(body))
      this.violate(`wrong bytes of write ${op} (${written.key}): ${body.length}`)
    if (written.etag !== etag) this.violate(`write ${op} has the ETag ${etag} instead of ${written.etag}`)
  }

  keys(): string[] {
    return [...new Set(this.calls.map(({ key }) => key))].sort()
  }
}
