/**
 * What clients asked of one key and what they were told: the outside ledger. Invocations and returns are numbered
 * through, so that "before" is certain. A write whose outcome nobody was told stays possible for ever.
 */

/** A version of the key is named by the number of the write that made it. */
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

export class Ledger {
  readonly calls: Call[] = []
  readonly written: Map<number, Written> = new Map()
  readonly violations: string[] = []
  /** Maps (hex) with borrowed parts, and those they borrow from: their garbage waits for one another. */
  readonly entangled: Set<string> = new Set()
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
    this.calls.splice(this.calls.indexOf(call), 1)
  }

  violate(what: string): void {
    this.violations.push(what)
  }

  keys(): string[] {
    return [...new Set(this.calls.map(({ key }) => key))].sort()
  }
}
