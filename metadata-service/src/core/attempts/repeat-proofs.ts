/**
 * Whether an operation has happened whose first attempt went to another service, or to another run of this one.
 *
 * The session was moved before the repeat was sent, so that the first attempt has happened by now or never will. It
 * wrote with a sequence number not below the time S that it carried. So if it has happened,
 * - the key's row still names it, or
 * - a row in `g/` above S names it: it dropped something itself, or its version was dropped, or
 * - others wrote the key after it: the row's memory is full, or somebody removed the row and left a row in `g/` above
 *   S.
 * ● It acts only when none of these is so. What cannot be told is `OutcomeUnknown`, and nothing is done.
 */
import { CairnError, formatId, type OpId, type SpaceId, sameBytes } from '@cairn/protocol'
import type { KeyValueStore, StoreRow } from '../../ports.js'
import { garbageKey, garbageRange, successorOfKey } from '../rows/keys.js'
import { APPLIED_MAX, type AppliedOperation, GarbageRow } from '../rows/rows.js'
import type { KeyState } from '../versions/version-write-state.js'
import { horizonOf, horizonRead } from './proof-horizon.js'

/** Rows of one read. */
const ROWS_PER_READ = 1000

const NO_OP = Buffer.alloc(16) as Uint8Array as OpId

/** What the garbage since some time says. */
export interface GarbageTraces {
  /** The operation, if it dropped something, or its version was dropped. */
  find(op: OpId): AppliedOperation | undefined
  /** The operations that dropped a version of this key. */
  droppersOf(space: SpaceId, key: string): readonly OpId[]
  /** Proofs up to this sequence number may be missing. */
  readonly horizonSeq: number
}

/** A reading that has not begun. */
interface Turn {
  sinceMicros: number
  traces: Promise<GarbageTraces>
}

/** Reads the garbage for all who ask at once: after a service has died they are many. */
export class RepeatProofs {
  private readonly store: KeyValueStore
  private waiting: Turn | undefined
  private running: Promise<unknown> = Promise.resolve()

  constructor(store: KeyValueStore) {
    this.store = store
  }

  /** All traces from this time on, read after the call. */
  since(micros: number): Promise<GarbageTraces> {
    const turn = this.waiting ?? this.queue(micros)
    turn.sinceMicros = Math.min(turn.sinceMicros, micros)
    return turn.traces
  }

  private queue(sinceMicros: number): Turn {
    const traces = this.running.then(() => this.begin())
    this.running = traces.catch(() => undefined)
    const turn = { sinceMicros, traces }
    this.waiting = turn
    return turn
  }

  private begin(): Promise<GarbageTraces> {
    const sinceMicros = this.waiting?.sinceMicros ?? 0
    // Who asks from now on must not be answered by a reading that has begun.
    this.waiting = undefined
    return readTraces(this.store, sinceMicros)
  }
}

/**
 * How an operation leaves its trace: a removal always by a row in `g/`, a write or a change of tags in the key's row;
 * `own` if a row of its own tells, which its plan looks at.
 */
export type TraceKind = 'removal' | 'write' | 'tags' | 'own'

/** The first result of the operation, or `undefined` if it has surely not happened; `OutcomeUnknown`. */
export async function settleRepeat(
  proofs: RepeatProofs,
  { op, sinceMicros, trace }: { readonly op: OpId; readonly sinceMicros: number; readonly trace: TraceKind },
  state: KeyState,
): Promise<AppliedOperation | undefined> {
  if (trace === 'own') return undefined
  const traces = await proofs.since(sinceMicros)
  const applied = traces.find(op)
  if (applied !== undefined) return applied
  requireProofs(traces, sinceMicros)
  if (trace === 'removal') return undefined
  const isWhole = remembersAll(state, sinceMicros, trace)
  if (isWhole && unexplained(traces, state).length === 0) return undefined
  throw outcomeUnknown('others have written the key since')
}

/** `OutcomeUnknown` if proofs since then may have been removed. */
export function requireProofs({ horizonSeq }: GarbageTraces, sinceMicros: number): void {
  if (horizonSeq >= sinceMicros) throw outcomeUnknown('its proof may have been removed')
}

/** The error of a repeat of which nobody can tell, now or later, whether its first attempt has happened. */
export function outcomeUnknown(reason: string): CairnError {
  const message = `a repeated operation cannot be settled: ${reason}`
  return new CairnError('OutcomeUnknown', message, { details: { settled: 'never' } })
}

/** Nothing that happened to the row's key since then was forgotten, if it is the row that was there then. */
function remembersAll({ current }: KeyState, sinceMicros: number, trace: TraceKind): boolean {
  if (current === undefined) return true
  const { applied, seq } = current.version
  return applied.length < APPLIED_MAX || (trace === 'write' && seq < sinceMicros)
}

/** Who dropped versions of the key, and is not remembered by its row: that may be a later row than it was. */
function unexplained(traces: GarbageTraces, { bucket, key, current }: KeyState): OpId[] {
  const known =
    current === undefined ? [] : [current.version.op, ...current.version.applied.map(({ op }) => op)]
  return traces.droppersOf(bucket.row.space, key).filter((op) => !known.some((other) => sameBytes(other, op)))
}

async function readTraces(store: KeyValueStore, sinceMicros: number): Promise<GarbageTraces> {
  const byOp = new Map<string, AppliedOperation>()
  const droppers = new Map<string, OpId[]>()
  let range = { from: garbageKey(sinceMicros, NO_OP), to: garbageRange().to }
  for (;;) {
    const { results } = await store.readAuthority([
      { kind: 'scan', range, limit: ROWS_PER_READ },
      horizonRead,
    ])
    const rows = results[0] ?? []
    for (const row of rows) note(row, byOp, droppers)
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_PER_READ) {
      return {
        find: (op) => byOp.get(formatId(op)),
        droppersOf: (space, key) => droppers.get(placeName(space, key)) ?? [],
        horizonSeq: horizonOf(results[1]),
      }
    }
    range = { from: successorOfKey(last.key), to: range.to }
  }
}

function note({ value }: StoreRow, byOp: Map<string, AppliedOperation>, droppers: Map<string, OpId[]>): void {
  const { kind, op, droppedMicros, dropped, space, key } = GarbageRow.decode(value)
  if (kind === 'parts') return
  const { isNull = false, deleteMarker = false } = dropped ?? {}
  // The number of the dropper stands in the key; for its answer the time is as good.
  byOp.set(formatId(op), { seq: droppedMicros, op, isNull, deleteMarker })
  if (dropped === undefined) return
  byOp.set(formatId(dropped.op), dropped)
  const name = placeName(space, key)
  droppers.set(name, [...(droppers.get(name) ?? []), op])
}

function placeName(space: SpaceId, key: string): string {
  return `${formatId(space)}${key}`
}
